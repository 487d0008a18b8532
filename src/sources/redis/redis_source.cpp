#include "sources/redis/redis_source.h"

#include <array>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "source/option_values.h"
#include "sources/redis/capture.h"
#include "sources/redis/export.h"
#include "sources/redis/follower.h"
#include "sources/redis/measure.h"
#include "sources/redis/options.h"
#include "sources/redis/rdb_file.h"
#include "sources/redis/rebuild.h"
#include "sources/redis/replay.h"
#include "sources/redis/server.h"
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
    SourceOption{"prefer_replica", Type::flag, "capture from a replica that is in step"},
    SourceOption{"bin_dir", Type::text, "the folder of redis-server, for proofs"},
};

constexpr std::array restore_table{
    SourceOption{"existing", Type::text, "what is there already: fail (default), drop, missing or replace"},
    SourceOption{"beside", Type::text, "restore into this database, and leave the one in use alone"},
    SourceOption{"expired", Type::text, "Redis keys whose time has come since: drop (default), keep or shift"},
};

class RedisSource final : public Source {
public:
    explicit RedisSource(CaptureOptions options) : options_(std::move(options)) {}
    std::string name() const override { return options_.source; }
    std::string kind() const override { return "redis"; }
    std::vector<std::string> describe() const override { return {options_.endpoint.shown()}; }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        return begin_capture(request.world, options_);
    }
    std::unique_ptr<Follower> follow(const FollowRequest& request) override { return redis::follow(request, options_); }

private:
    const CaptureOptions options_;
};

Endpoint endpoint_of(const std::string& name, const SourceOptions& options) {
    const std::string argument = option_text(options, "argument");
    const std::string url = argument.empty() ? option_text(options, "url") : argument;
    if (url.empty() && option_text(options, "host").empty())
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
    if (option_text(options, "tls") == "true") out.tls = true;
    if (option_text(options, "insecure") == "true") out.insecure = true;
    const std::string port = option_text(options, "port");
    if (!port.empty() && !is_unresolved(port)) {
        const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), out.port);
        if (problem != std::errc{} || end != port.data() + port.size() || out.port < 1 || out.port > 65535)
            throw Error{Code::config, "source {}: port is no number of a port: {}", name, printable(port)};
    }
    return out;
}

std::unique_ptr<Source> make(const std::string& name, const SourceOptions& options) {
    CaptureOptions out;
    out.source = name;
    out.endpoint = endpoint_of(name, options);
    out.prefer_replica = option_text(options, "prefer_replica") == "true";
    return std::make_unique<RedisSource>(std::move(out));
}

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
    .load_dump = redis::load_dump,
    .export_formats = redis::export_formats,
    .export_as = redis::export_as,
    .has_journal = true,
    .history = redis::history,
    .own_folder_form = true,
};

}  // namespace holdfast
