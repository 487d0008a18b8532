#include "sources/redis/advice.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "sources/redis/names.h"

namespace holdfast::redis {

namespace {

constexpr std::array names{"appendonly",
                           "appendfsync",
                           "save",
                           "maxmemory-policy",
                           "maxmemory",
                           "rdbchecksum",
                           "repl-backlog-size",
                           "client-output-buffer-limit"};
constexpr std::uint64_t backlog_bytes_wanted = 64 * 1024 * 1024;

std::string value(const Settings& settings, std::string_view name) {
    const auto found = settings.find(name);
    return found == settings.end() ? "" : found->second;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

// As redis.conf has it.
std::string quoted(std::string_view text) {
    const bool is_plain = !text.empty() && std::ranges::all_of(text, [](char c) {
        return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '\'' && c != '#';
    });
    if (is_plain) return std::string(text);
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += {'\\', c};
        else if (c >= ' ' && c < 0x7f)
            out += c;
        else
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    return out + '"';
}

}  // namespace

Settings settings_of(Connection& connection) {
    Settings out;
    for (const char* const name : names) connection.put({"CONFIG", "GET", name});
    for (std::size_t i = 0; i < names.size(); ++i) {
        const Reply got = connection.reply();
        for (std::size_t j = 0; j + 1 < got.list.size(); j += 2) out[got.list[j].text] = got.list[j + 1].text;
    }
    return out;
}

std::map<std::string, std::string> settings_texts(Connection& connection) {
    const Reply config = connection.ask({"CONFIG", "GET", "*"});
    std::map<std::string_view, std::string_view> sorted;
    for (std::size_t i = 0; i + 1 < config.list.size(); i += 2) sorted[config.list[i].text] = config.list[i + 1].text;
    std::string lines;
    for (const auto& [name, text] : sorted) lines += fmt::format("{} {}\n", name, quoted(text));
    std::string users;
    for (const Reply& each : connection.ask({"ACL", "LIST"}).list) users += each.text + "\n";
    return {{std::string(config_item), lines}, {std::string(users_item), users}};
}

std::vector<std::string> advice(std::string_view info, const Settings& settings) {
    std::vector<std::string> out;
    const bool appends = value(settings, "appendonly") == "yes";
    if (value(settings, "appendonly") == "no" && settings.contains("save") && value(settings, "save").empty())
        out.emplace_back(
            "the server writes nothing to its disk (appendonly no, no save): a restart loses everything "
            "since the last backup");
    if (appends && value(settings, "appendfsync") == "no")
        out.emplace_back("appendfsync is no: a crash of the machine loses what the system had not written yet");
    const std::string policy = value(settings, "maxmemory-policy");
    if (!policy.empty() && policy != "noeviction" && number(value(settings, "maxmemory")) > 0)
        out.push_back(
            fmt::format("maxmemory-policy is {}: the server may evict keys, and what it evicted before the "
                        "capture is in no backup",
                        policy));
    if (value(settings, "rdbchecksum") == "no") out.emplace_back("rdbchecksum is no: damage on the way cannot be seen");
    if (info_value(info, "rdb_last_bgsave_status") == "err") out.emplace_back("the server's own last BGSAVE failed");
    if (info_value(info, "master_link_status") == "down")
        out.emplace_back("the server is a replica whose link to its master is down: its data may be old");
    return out;
}

std::vector<std::string> advice_for_following(const Settings& settings) {
    std::vector<std::string> out;
    const std::string backlog = value(settings, "repl-backlog-size");
    if (!backlog.empty() && number(backlog) < backlog_bytes_wanted)
        out.push_back(
            fmt::format("repl-backlog-size is {}: after an interruption with more changes than that a new base "
                        "is needed; 256 MB or more are better",
                        human_bytes(number(backlog))));
    // "normal 0 0 0 slave 268435456 67108864 60 pubsub …"
    const std::string limits = value(settings, "client-output-buffer-limit");
    for (const std::string_view name : {"slave ", "replica "})
        if (const std::size_t at = limits.find(name); at != std::string::npos) {
            const std::uint64_t hard = number(std::string_view(limits).substr(at + name.size()));
            if (hard > 0 && hard < backlog_bytes_wanted)
                out.push_back(
                    fmt::format("client-output-buffer-limit replica is {}: while a base is read, more changes "
                                "than that end the connection",
                                human_bytes(hard)));
        }
    return out;
}

}  // namespace holdfast::redis
