#include "sources/redis/redis_source.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/cluster.h"
#include "clients/redis/discover.h"
#include "source/option_values.h"
#include "source/parts.h"
#include "sources/redis/advice.h"
#include "sources/redis/aof_follower.h"
#include "sources/redis/capture.h"
#include "sources/redis/dump_file.h"
#include "sources/redis/export.h"
#include "sources/redis/follower.h"
#include "sources/redis/measure.h"
#include "sources/redis/options.h"
#include "sources/redis/own_place.h"
#include "sources/redis/rebuild.h"
#include "sources/redis/replay.h"
#include "sources/redis/server.h"
#include "sources/redis/server_files.h"
#include "sources/redis/swap.h"

namespace holdfast::redis {

namespace {

using Type = SourceOption::Type;

constexpr std::array options_table{
    SourceOption{"url", Type::reference, "redis://USER@HOST:PORT, or rediss:// for TLS; with /NUMBER one database"},
    SourceOption{"host", Type::reference, "the server's name, address or socket"},
    SourceOption{"port", Type::reference, "its port"},
    SourceOption{"user", Type::reference, "the ACL user who connects"},
    SourceOption{"password", Type::secret, "its password, as env:NAME, file:PATH or exec:COMMAND"},
    SourceOption{"tls", Type::flag, "connect by TLS"},
    SourceOption{"ca", Type::reference, "file of the certificates that are trusted"},
    SourceOption{"cert", Type::reference, "file of the client's certificate"},
    SourceOption{"key", Type::reference, "file of its key"},
    SourceOption{"insecure", Type::flag, "do not look at the server's certificate"},
    SourceOption{"sentinel", Type::reference, "name of a master; host and port are then a Sentinel's"},
    SourceOption{"sentinels", Type::reference, "further Sentinels as HOST:PORT,HOST:PORT, for when that one is gone"},
    SourceOption{"sentinel_user", Type::reference, "the ACL user for all of them"},
    SourceOption{"sentinel_password", Type::secret, "its password, as env:NAME, file:PATH or exec:COMMAND"},
    SourceOption{"prefer_replica", Type::flag, "capture from a replica that is in step"},
    SourceOption{"cluster", Type::flag, "all masters of the server's cluster, each as a source NAME.SLOT"},
    SourceOption{"slot", Type::reference, "of a cluster, the master that serves this slot"},
    SourceOption{"method", Type::text, "psync (default), bgsave, or aof: the server's files instead of its stream"},
    SourceOption{"data_dir", Type::text, "the server's folder as it is seen here, for bgsave and aof"},
    SourceOption{"with_settings", Type::flag, "keep its users (ACL) and configuration, too"},
    SourceOption{"spool_max", Type::size,
                 "room for changes that are not stored yet (half of what is free, at most 16G)"},
    SourceOption{"bin_dir", Type::text, "the folder of redis-server, for proofs and append-only files"},
};

constexpr std::array restore_table{
    SourceOption{"existing", Type::text, "what is there already: fail (default), drop, missing or replace"},
    SourceOption{"beside", Type::text, "restore into this database, and leave the one in use alone"},
    SourceOption{"expired", Type::text, "Redis keys whose time has come since: drop (default), keep or shift"},
    SourceOption{"bin_dir", Type::text, "the folder of redis-server, for --at and comparisons"},
};

constexpr std::array import_table{
    SourceOption{"bin_dir", Type::text, "the folder of redis-server"},
};

std::vector<std::unique_ptr<Source>> masters(const CaptureOptions& options, const std::vector<Shard>& shards);

std::vector<Shard> shards_of(World& world, const CaptureOptions& options) {
    Connection connection(world, discover(world, options.endpoint, false, Code::source_failed), Code::source_failed);
    std::vector<Shard> out = ask_cluster(connection);
    if (const Slots served = served_by(out); !served.all())
        throw nobody_serves(~served, options.endpoint, Code::source_failed);
    return out;
}

Slots moving_in(World& world, const std::vector<Shard>& shards) {
    Slots out;
    for (const Shard& shard : shards) {
        Connection master(world, shard.master, Code::source_failed);
        out |= own_slots(master).moving;
    }
    return out;
}

class RedisSource final : public PartedSource {
public:
    explicit RedisSource(CaptureOptions options) : options_(std::move(options)) {}
    std::string name() const override { return options_.source; }
    std::string kind() const override { return "redis"; }
    std::vector<std::string> describe() const override { return {options_.endpoint.shown()}; }
    std::vector<std::unique_ptr<Source>> parts(World& world) override {
        if (!options_.is_cluster) return {};
        shards_ = shards_of(world, options_);
        return masters(options_, shards_);
    }
    void look_at_parts_again(World& world) override {
        const std::vector<Shard> after = shards_of(world, options_);
        const Slots moved = moved_between(shards_, after) | moving_in(world, after);
        if (moved.none()) return;
        throw Error{Code::partial, "slots of {} moved from one master to another while they were captured: {}",
                    options_.source, to_text(moved)}
            .unharmed("keys of all other slots are in the snapshots")
            .hint("Back it up again when no slots move; keys of these may be in no snapshot, or in two.");
    }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        switch (options_.method) {
            case Method::bgsave:
                return capture_by_bgsave(request.world, options_);
            case Method::aof:
                return capture_append_folder(request.world, options_).capture;
            case Method::psync:
                break;
        }
        return begin_capture(request.world, options_);
    }
    std::unique_ptr<Follower> follow(const FollowRequest& request) override {
        if (options_.method == Method::aof) return follow_append_files(request, options_);
        return redis::follow(request, options_);
    }

private:
    const CaptureOptions options_;
    std::vector<Shard> shards_;  // of which parts() were made
};

// Each is named by a slot that it serves: who serves it after a failover has the same history.
std::vector<std::unique_ptr<Source>> masters(const CaptureOptions& options, const std::vector<Shard>& shards) {
    std::vector<std::unique_ptr<Source>> out;
    for (const Shard& shard : shards) {
        CaptureOptions each = options;
        each.is_cluster = false;
        each.source = fmt::format("{}.{}", options.source, shard.first_slot());
        each.endpoint.slot = shard.first_slot();
        each.slots = shard.slots;
        for (const Shard& other : shards)
            each.endpoint.others.insert(each.endpoint.others.end(), other.servers.begin(), other.servers.end());
        out.push_back(std::make_unique<RedisSource>(std::move(each)));
    }
    return out;
}

// Nothing when it is not given, or not resolved yet.
std::optional<int> option_number(const std::string& name, const SourceOptions& options, std::string_view option,
                                 int least, int most) {
    const std::string text = option_text(options, option);
    if (text.empty() || is_unresolved(text)) return std::nullopt;
    int out = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc{} || end != text.data() + text.size() || out < least || out > most)
        throw Error{Code::config,   "source {}: {} is no number from {} to {}: {}", name, option, least, most,
                    printable(text)};
    return out;
}

Endpoint endpoint_of(const std::string& name, const SourceOptions& options) {
    const std::string argument = option_text(options, "argument");
    const std::string url = argument.empty() ? option_text(options, "url") : argument;
    if (url.empty() && option_text(options, "host").empty() && option_text(options, "data_dir").empty())
        throw Error{Code::config, "source {} names no server", name}.hint(
            "Give `url: \"redis://HOST:6379\"`, or `host` and `port`.");
    Endpoint out = url.empty() || is_unresolved(url) ? Endpoint() : Endpoint::parse(url);
    const auto take = [&](std::string_view option, std::string& into) {
        if (const std::string value = option_text(options, option); !value.empty()) into = value;
    };
    take("host", out.host);
    take("user", out.user);
    take("password", out.password);
    take("ca", out.ca);
    take("cert", out.cert);
    take("key", out.key);
    take("sentinel", out.sentinel);
    take("sentinel_user", out.sentinel_user);
    take("sentinel_password", out.sentinel_password);
    if (const std::string list = option_text(options, "sentinels"); !list.empty() && !is_unresolved(list))
        out.add_sentinels(list);
    if (option_text(options, "tls") == "true") out.tls = true;
    if (option_text(options, "insecure") == "true") out.insecure = true;
    if (const auto port = option_number(name, options, "port", 1, 65535)) out.port = *port;
    if (const auto slot = option_number(name, options, "slot", 0, cluster_slots - 1)) out.slot = *slot;
    return out;
}

Method method_of(const std::string& name, const SourceOptions& options) {
    const std::string text = option_text(options, "method");
    if (text.empty() || text == "psync") return Method::psync;
    if (text == "bgsave") return Method::bgsave;
    if (text == "aof") return Method::aof;
    throw Error{Code::config, "source {}: method is psync, bgsave or aof, not `{}`", name, printable(text)};
}

std::unique_ptr<Source> make(const std::string& name, const SourceOptions& options) {
    CaptureOptions out;
    out.source = name;
    out.endpoint = endpoint_of(name, options);
    out.prefer_replica = option_text(options, "prefer_replica") == "true";
    out.is_cluster = option_text(options, "cluster") == "true";
    out.method = method_of(name, options);
    out.data_dir = option_text(options, "data_dir");
    out.bin_dir = option_text(options, "bin_dir");
    out.with_settings = option_text(options, "with_settings") == "true";
    if (const std::string text = option_text(options, "spool_max"); !text.empty()) {
        const auto size = parse_size(text);
        if (!size || *size == 0)
            throw Error{Code::config, "source {}: spool_max is no size: {}", name, printable(text)}.hint(
                "Write it as `4G`.");
        out.spool_bytes_max = *size;
    }
    if (out.method == Method::aof && out.endpoint.database)
        throw Error{Code::config, "source {}: append-only files are of all databases, not of {}", name,
                    *out.endpoint.database}
            .hint("Leave the database out of its address.");
    return std::make_unique<RedisSource>(std::move(out));
}

Observation failure_of(const Error& error) {
    const bool is_right = error.message().find("NOPERM") != std::string::npos;
    return {"server", is_right ? Severity::not_tested : Severity::error, error.message(), std::string(error.hint())};
}

Observations examine(const ExamineRequest& request) {
    Observations out;
    try {
        const Endpoint endpoint =
            discover(request.world, endpoint_of("", request.options),
                     option_text(request.options, "prefer_replica") == "true", Code::source_failed);
        Connection asked(request.world, endpoint, Code::source_failed);
        const Reply info = asked.try_ask({"INFO"});
        const Settings settings = settings_of(asked);
        if (info.is_error())
            out.push_back(
                {"server", Severity::not_tested, "the account may not ask for INFO", "`ACL SETUSER … +info`"});
        if (settings.empty())
            out.push_back({"settings", Severity::not_tested, "the account may not read the server's settings",
                           "`ACL SETUSER … +config|get`"});
        Load load{.rpo = request.rpo};
        if (!info.is_error()) {
            load.bytes_each_second = ask_rate(request.world, asked);
            for (const auto& [database, bytes] : ask_sizes(asked)) load.bytes += bytes;
        }
        std::ranges::move(advice(info.is_error() ? "" : info.text, settings, load), std::back_inserter(out));
        const bool by_stream =
            option_text(request.options, "method").empty() || option_text(request.options, "method") == "psync";
        if (request.is_followed && by_stream)
            std::ranges::move(advice_for_following(settings, load), std::back_inserter(out));
    } catch (const Error& error) {
        if (error.code() != Code::source_failed) throw;
        out.push_back(failure_of(error));
    }
    if (out.empty()) out.push_back({"server", Severity::good, "nothing in its settings endangers its data"});
    return out;
}

std::string live_place(const SourceOptions& options) { return endpoint_of("", options).url(); }

std::string not_comparable(const Fact& found, const Fact*, const SourceOptions& options) {
    const RestoreOptions chosen = restore_options(options);
    if (found.name.starts_with("expiring ")) return "keys with an expiry may have gone since, or got another one";
    if (found.name == "keys" || found.name == "digest" || found.name.ends_with(" keys") || found.item == "server") {
        if (chosen.present == Present::missing || chosen.present == Present::replace)
            return "what was there already is counted too";
        if (chosen.expired == Expired::keep) return "keys whose time had come are counted too";
    }
    return "";
}

}  // namespace
}  // namespace holdfast::redis

namespace holdfast {

const SourceType redis_source_type{
    .kind = "redis",
    .scheme = "redis",
    .help = "a Redis server, as a replica gets it",
    .options = redis::options_table,
    .make = redis::make,
    .rebuild = redis::rebuild,
    .other_scheme = "rediss",
    .restore_options = redis::restore_table,
    .measure = redis::measure,
    .query = redis::query_value,
    .server = redis::start_server,
    .swap = redis::swap,
    .not_comparable = redis::not_comparable,
    .dump_format = redis::dump_format,
    .import_options = redis::import_table,
    .load_dump = redis::load_dump,
    .live_place = redis::live_place,
    .is_own_place = redis::is_own_place,
    .export_formats = redis::export_formats,
    .export_as = redis::export_as,
    .has_journal = true,
    .history = redis::history,
    .own_folder_form = true,
    .examine = redis::examine,
};

}  // namespace holdfast
