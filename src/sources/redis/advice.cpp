#include "sources/redis/advice.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

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
constexpr std::uint64_t interruption_seconds = 600;               // that a backlog should bridge
constexpr std::uint64_t transfer_bytes_each_second = 50'000'000;  // of a base, on a slow way

std::string value(const Settings& settings, std::string_view name) {
    const auto found = settings.find(name);
    return found == settings.end() ? "" : found->second;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

std::string seconds_text(std::uint64_t bytes, std::uint64_t bytes_each_second) {
    return human_duration(static_cast<Nanoseconds>(bytes / bytes_each_second) * one_second);
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

namespace {

constexpr Nanoseconds all = std::numeric_limits<Nanoseconds>::max();

// What the server itself loses at most when its machine stops; nothing: its settings do not say.
std::optional<Nanoseconds> lost_at_a_crash(const Settings& settings) {
    if (!settings.contains("appendonly")) return std::nullopt;
    if (value(settings, "appendonly") == "yes") {
        const std::string sync = value(settings, "appendfsync");
        return sync == "always" ? 0 : sync == "everysec" ? 2 * one_second : 30 * one_second;
    }
    if (!settings.contains("save")) return std::nullopt;
    // "3600 1 300 100": after a single change the longest of these times passes.
    Nanoseconds longest = 0;
    const std::vector<std::string> words = split(value(settings, "save"), ' ');
    for (std::size_t i = 0; i + 1 < words.size(); i += 2)
        longest = std::max(longest, static_cast<Nanoseconds>(number(words[i])) * one_second);
    return longest == 0 ? all : longest;
}

Observation warning(std::string what, std::string text, std::string fix) {
    return {std::move(what), Severity::warning, std::move(text), std::move(fix)};
}

void look_at_persistence(const Settings& settings, const Load& load, Observations& out) {
    const auto lost = lost_at_a_crash(settings);
    if (!lost) return;
    if (*lost == all)
        out.push_back(warning("persistence",
                              "the server writes nothing to its disk (appendonly no, no save): a restart loses "
                              "everything since the last backup",
                              "`CONFIG SET appendonly yes`, and in its configuration"));
    else if (value(settings, "appendonly") == "yes" && value(settings, "appendfsync") == "no")
        out.push_back(warning("persistence",
                              "appendfsync is no: a crash of the machine loses what the system had not written yet",
                              "`CONFIG SET appendfsync everysec`"));
    else if (load.rpo && *lost > *load.rpo)
        out.push_back(warning("persistence",
                              fmt::format("a crash loses up to {} of what the server wrote itself, and {} is declared: "
                                          "somebody has to restore from here what a restart does not bring back",
                                          human_duration(*lost), human_duration(*load.rpo)),
                              "`CONFIG SET appendonly yes`, and in its configuration"));
}

}  // namespace

Observations advice(std::string_view info, const Settings& settings, const Load& load) {
    Observations out;
    look_at_persistence(settings, load, out);
    const std::string policy = value(settings, "maxmemory-policy");
    if (!policy.empty() && policy != "noeviction" && number(value(settings, "maxmemory")) > 0)
        out.push_back(warning("eviction",
                              fmt::format("maxmemory-policy is {}: the server may evict keys, and what it evicted "
                                          "before the capture is in no backup",
                                          policy),
                              "`CONFIG SET maxmemory-policy noeviction`, if its keys are more than a cache"));
    if (value(settings, "rdbchecksum") == "no")
        out.push_back(warning("checksum", "rdbchecksum is no: damage on the way cannot be seen",
                              "`rdbchecksum yes` in its configuration, and a restart"));
    if (info_value(info, "rdb_last_bgsave_status") == "err")
        out.push_back(
            warning("bgsave", "the server's own last BGSAVE failed", "Its log says why; often its disk is full."));
    if (info_value(info, "master_link_status") == "down")
        out.push_back(warning("replica",
                              "the server is a replica whose link to its master is down: its data may be old",
                              "Look at its master, or capture from that."));
    return out;
}

Observations advice_for_following(const Settings& settings, const Load& load) {
    Observations out;
    const std::uint64_t rate = load.bytes_each_second;
    const std::uint64_t backlog_wanted = std::max(backlog_bytes_wanted, rate * interruption_seconds);
    const std::string backlog = value(settings, "repl-backlog-size");
    if (!backlog.empty() && number(backlog) < backlog_wanted)
        out.push_back(warning(
            "backlog",
            fmt::format(
                "repl-backlog-size is {}{}: after an interruption with more changes than that a new base is "
                "needed",
                human_bytes(number(backlog)),
                rate == 0 ? "" : fmt::format(", {} of what it changes now", seconds_text(number(backlog), rate))),
            fmt::format("`CONFIG SET repl-backlog-size {}mb`, and in its configuration",
                        std::max<std::uint64_t>(256, (backlog_wanted >> 20) + 1))));
    // "normal 0 0 0 slave 268435456 67108864 60 pubsub …"
    const std::uint64_t buffer_wanted =
        std::max(backlog_bytes_wanted, rate * (load.bytes / transfer_bytes_each_second));
    const std::string limits = value(settings, "client-output-buffer-limit");
    for (const std::string_view name : {"slave ", "replica "})
        if (const std::size_t at = limits.find(name); at != std::string::npos) {
            const std::uint64_t hard = number(std::string_view(limits).substr(at + name.size()));
            if (hard > 0 && hard < buffer_wanted)
                out.push_back(warning(
                    "buffer",
                    fmt::format("client-output-buffer-limit replica is {}{}: while a base is read, more changes than "
                                "that end the connection",
                                human_bytes(hard),
                                rate == 0 ? "" : fmt::format(", {} of what it changes now", seconds_text(hard, rate))),
                    fmt::format(
                        "`CONFIG SET client-output-buffer-limit \"replica {}mb 0 0\"`, and in its configuration",
                        std::max<std::uint64_t>(256, (buffer_wanted >> 20) + 1))));
        }
    return out;
}

std::uint64_t ask_rate(World& world, Connection& connection) {
    const auto offset = [&] {
        return number(info_value(connection.try_ask({"INFO", "replication"}).text, "master_repl_offset"));
    };
    const std::uint64_t before = offset();
    world.clock.sleep(one_second);
    const std::uint64_t after = offset();
    // Without replicas, and so without a backlog, it does not count.
    if (after > before) return after - before;
    const Reply stats = connection.try_ask({"INFO", "stats"});
    return number(info_value(stats.text, "instantaneous_input_kbps")) * 1024;
}

}  // namespace holdfast::redis
