#include "sources/redis/measure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "clients/redis/cluster.h"
#include "clients/redis/discover.h"
#include "sandbox/sandbox.h"
#include "source/option_values.h"
#include "sources/redis/counts.h"
#include "sources/redis/names.h"
#include "sources/redis/own_place.h"
#include "sources/redis/replication.h"
#include "sources/redis/throwaway.h"

namespace holdfast::redis {

namespace {

std::optional<std::uint64_t> number_of(const std::string& item) {
    std::uint64_t out = 0;
    const auto [end, problem] = std::from_chars(item.data(), item.data() + item.size(), out);
    if (item.empty() || problem != std::errc{} || end != item.data() + item.size()) return std::nullopt;
    return out;
}

std::vector<std::uint64_t> databases_in(const Facts& facts) {
    std::set<std::uint64_t> out;
    for (const Fact& fact : facts.list)
        if (const auto number = number_of(fact.item)) out.insert(*number);
    return {out.begin(), out.end()};
}

void count(const RdbInput::Read& read, RdbCounts& into) {
    RdbInput in(read);
    read_rdb(in, into);
}

void count_server(World& world, const Endpoint& endpoint, RdbCounts& into) {
    try {
        Replication replication(world, endpoint, {.rdb_only = true, .from = {}});
        count([&](MutableByteView bytes) { return replication.read_rdb(bytes); }, into);
    } catch (const Error& error) {
        if (error.code() != Code::source_failed) throw;
        throw Error{Code::target_failed, "{}", error.message()}.hint(std::string(error.hint()));
    }
}

using Takes = std::function<bool(const RdbKey&)>;

// Of a cluster, what lies in the slots that were captured, whoever serves them.
RdbCounts count_servers(World& world, const Endpoint& endpoint, const Facts& expected, const Takes& takes) {
    Connection asked(world, endpoint, Code::target_failed);
    RdbCounts out;
    out.choose(takes);
    if (info_value(asked.ask({"INFO", "cluster"}).text, "cluster_enabled") != "1") {
        count_server(world, endpoint, out);
        return out;
    }
    const std::string captured = expected.value("", slots_fact).value_or("");
    const Slots slots = captured.empty() ? ~Slots() : parse_slots(captured);
    out.choose([slots, takes](const RdbKey& key) {
        return slots[static_cast<std::size_t>(slot_of(key.name))] && (!takes || takes(key));
    });
    bool is_first = true;
    for (const Shard& shard : ask_cluster(asked)) {
        if (!is_first && (shard.slots & slots).none()) continue;
        // All have the same.
        if (!std::exchange(is_first, false)) out.pass_over_functions();
        count_server(world, shard.master, out);
    }
    return out;
}

// What only a server can say: what a folder holds together with its changes. One in a sandbox loads a copy.
RdbCounts count_changed_folder(const MeasureRequest& request) {
    const std::string& folder = request.target;
    std::uint64_t bytes = 0;
    const std::string parts = folder + "/appendonlydir";
    for (const auto& entry : std::filesystem::directory_iterator(parts)) bytes += entry.file_size();
    Sandbox sandbox(request.world, default_sandbox_root(), bytes);
    const std::string data = sandbox.work() + "/data";
    Throwaway throwaway(
        sandbox, data,
        {.bin_dir = option_text(request.options, "bin_dir"), .captured_version = captured_version(request.expected)});
    std::filesystem::create_directories(data);
    std::filesystem::copy(parts, data + "/appendonlydir", std::filesystem::copy_options::recursive);
    throwaway.start();
    RdbCounts out;
    count_server(request.world, Endpoint::parse(throwaway.url()), out);
    return out;
}

RdbCounts count_folder(const MeasureRequest& request) {
    const std::string& folder = request.target;
    const std::string changes = folder + "/appendonlydir/appendonly.aof.1.incr.aof";
    struct stat info {};
    if (::stat(changes.c_str(), &info) == 0 && info.st_size > 0) return count_changed_folder(request);
    const std::string path = folder + "/appendonlydir/appendonly.aof.1.base.rdb";
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) throw Error{Code::target_failed, "cannot open {}: {}", path, errno_text(errno)};
    RdbCounts out;
    count(
        [&](MutableByteView into) {
            const ssize_t got = ::read(file.get(), into.data(), into.size());
            if (got < 0) throw Error{Code::target_failed, "cannot read {}: {}", path, errno_text(errno)};
            return static_cast<std::size_t>(got);
        },
        out);
    return out;
}

// One word after the other, those in quotes as they stand.
std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> out;
    bool in_word = false;
    char quote = 0;
    for (const char c : text) {
        if (quote != 0) {
            if (c == quote)
                quote = 0;
            else
                out.back() += c;
        } else if (c == ' ' || c == '\t' || c == '\n') {
            in_word = false;
        } else {
            if (!std::exchange(in_word, true)) out.emplace_back();
            if (c == '"' || c == '\'')
                quote = c;
            else
                out.back() += c;
        }
    }
    return out;
}

}  // namespace

Facts measure(const MeasureRequest& request) {
    std::vector<std::uint64_t> expected = databases_in(request.expected);
    if (!request.only.empty())
        std::erase_if(expected, [&](std::uint64_t number) {
            return std::ranges::find(request.only, fmt::format("{}", number)) == request.only.end();
        });
    if (!is_url(request.target)) return count_folder(request).facts(expected);
    const Endpoint given = discover(request.world, Endpoint::parse(request.target), false, Code::target_failed);
    Endpoint endpoint = given;
    endpoint.database.reset();
    Takes takes;
    if (request.wants)
        takes = [&](const RdbKey& key) {
            const bool is_renumbered = given.database && expected.size() == 1;
            return request.wants(key_path(is_renumbered ? expected.front() : key.database, key.name));
        };
    const RdbCounts counts = count_servers(request.world, endpoint, request.expected, takes);
    Facts found = counts.facts(given.database ? std::vector{static_cast<std::uint64_t>(*given.database)} : expected);
    Facts out;
    out.basis = request.expected.basis;
    // What else is at the server is not asked for; one captured database may have another number there.
    for (Fact& fact : found.list) {
        const auto number = number_of(fact.item);
        if (number && given.database) {
            if (*number != static_cast<std::uint64_t>(*given.database)) continue;
            if (expected.size() == 1) fact.item = fmt::format("{}", expected.front());
        } else if (number && std::ranges::find(expected, *number) == expected.end()) {
            continue;
        }
        out.list.push_back(std::move(fact));
    }
    out.sort();
    return out;
}

std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds) {
    const std::vector<std::string> words = words_of(text);
    if (words.empty()) throw Error{Code::target_failed, "a check asks for nothing"};
    Connection connection(world, Endpoint::parse(target), Code::target_failed);
    const Reply* at = nullptr;
    const Reply got = connection.ask(words);
    for (at = &got; at->kind == Reply::Kind::list && !at->list.empty();) at = &at->list.front();
    return at->kind == Reply::Kind::number ? fmt::format("{}", at->number) : at->text;
}

}  // namespace holdfast::redis
