#include <algorithm>

#include "app/backup_sources.h"
#include "app/command.h"
#include "app/context.h"
#include "app/registry.h"
#include "app/source_options.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/workers.h"
#include "engine/follow.h"
#include "source/parts.h"

namespace holdfast::app {

namespace {

constexpr Nanoseconds tell_idle_every = 5 * one_second;

struct FollowChoice {
    SourceRequest request;
    std::string source;
    std::optional<std::string> host;
    std::optional<std::string> domain;
    std::optional<Nanoseconds> flush;
    bool once = false;
    bool take_over = false;
};

// Half of what may be lost, at most a minute.
Nanoseconds flush_of(Context& context, const FollowChoice& choice) {
    if (choice.flush) return *choice.flush;
    const SourceConfig* const configured = context.config().source(choice.source);
    if (configured == nullptr || !configured->rpo) return 5 * one_second;
    return std::clamp<Nanoseconds>(*configured->rpo / 2, one_second / 10, 60 * one_second);
}

std::string text_of(const Position& position) {
    return position.line.empty() ? fmt::format("{}", position.at) : fmt::format("{}:{}", position.line, position.at);
}

Json json_of(const Moment& moment) {
    return {{"time", rfc3339(moment.time)}, {"position", to_valid_utf8(text_of(moment.position))}};
}

// Whoever supervises the following reads how far it has come.
void tell(Output& out, const Json& event) {
    out.record(event);
    out.finish();
}

engine::FollowEvents events_for(Output& out, const Clock& clock, const std::string& source) {
    engine::FollowEvents events;
    events.began = [&out, source](const Follower::Start& start) {
        if (out.is_json())
            return tell(out, {{"type", start.continues ? "continued" : "began"},
                              {"source", source},
                              {"at", json_of(start.at)},
                              {"because", start.why_not}});
        if (out.quiet) return;
        if (start.continues)
            out.say(fmt::format("{}: going on from {}", printable(source), rfc3339(start.at.time)));
        else
            out.say(fmt::format("{}: a new window begins at {}{}", printable(source), rfc3339(start.at.time),
                                start.why_not.empty() ? "" : " (" + start.why_not + ")"));
    };
    events.base = [&out, source](const repo::Snapshot& base) {
        if (out.is_json()) return tell(out, {{"type", "snapshot"}, {"snapshot", base.id.hex()}, {"source", source}});
        if (!out.quiet) out.say(fmt::format("{}: base {}", printable(source), base.id.short_hex()));
    };
    events.stored = [&out, source](const engine::FollowReport& report) {
        if (out.is_json() && report.reached)
            tell(out, {{"type", "stored"}, {"source", source}, {"reached", json_of(*report.reached)}});
    };
    if (out.is_json())
        events.idle = [&out, &clock, source, due = Nanoseconds{0}](const Moment& moment) mutable {
            const Nanoseconds now = clock.steady();
            if (now < due) return;
            due = now + tell_idle_every;
            tell(out, {{"type", "idle"}, {"source", source}, {"reached", json_of(moment)}});
        };
    events.trouble = [&out, source](const Error& error, Nanoseconds wait) {
        out.warn(fmt::format("{}: {}; trying again in {}", printable(source), error.message(), human_duration(wait)));
    };
    return events;
}

void print_report(Output& out, const engine::FollowReport& report, const std::string& source) {
    if (out.is_json()) {
        std::vector<std::string> ids;
        for (const repo::Snapshot& base : report.bases) ids.push_back(base.id.hex());
        out.record({{"type", "summary"},
                    {"schema", "holdfast.follow/1"},
                    {"source", source},
                    {"snapshots", ids},
                    {"records", report.records},
                    {"segments", report.segments},
                    {"bytes", {{"logical", report.bytes}, {"stored", report.stored}}},
                    {"reached", report.reached ? json_of(*report.reached) : Json()},
                    {"seconds", report.seconds}});
        return;
    }
    if (out.quiet) return;
    out.line(fmt::format("{}: {}, {}, stored {}", printable(source), counted(report.records, "record", "records"),
                         human_bytes(report.bytes), human_bytes(report.stored)));
    if (report.reached) out.line(fmt::format("  reaches  {}", rfc3339(report.reached->time)));
}

// What one journal is written with. The first signal ends the following, not what is then still to be written.
class Writing {
public:
    explicit Writing(Context& context)
        : calm_{context.world.clock, context.world.random, never_, context.world.log},
          own_(context, calm_, context.globals),
          repository_(own_.open_repository()) {}
    repo::Repository& repository() { return *repository_; }

private:
    Stop never_;
    World calm_;
    Context own_;
    const std::unique_ptr<repo::Repository> repository_;
};

void follow_one(Context& context, Writing& writing, Source& source, const engine::FollowPlan& plan) {
    const std::string name = source.name();
    engine::Progress progress;
    const engine::FollowReport report = engine::follow(source, writing.repository(), context.world, plan,
                                                       events_for(context.out, context.world.clock, name), progress);
    print_report(context.out, report, name);
}

// Each keeps a journal of its own. When one fails the others end cleanly.
void follow_together(Context& context, const std::vector<std::unique_ptr<Source>>& parts,
                     const engine::FollowPlan& plan) {
    std::vector<std::unique_ptr<Writing>> writings;
    for (std::size_t i = 0; i < parts.size(); ++i) writings.push_back(std::make_unique<Writing>(context));
    Workers workers(parts.size(), parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i)
        workers.submit([&context, &writing = *writings[i], &part = *parts[i], &plan] {
            try {
                follow_one(context, writing, part, plan);
            } catch (...) {
                context.world.stop.request();
                throw;
            }
        });
    workers.finish();
}

void follow_alone(Context& context, Source& source, const engine::FollowPlan& plan) {
    Writing writing(context);
    follow_one(context, writing, source, plan);
}

int run_follow(Context& context, const FollowChoice& choice) {
    SourceRequest request = choice.request;
    request.words = {choice.source};
    request.host = choice.host.value_or(current_host_name());
    warn_of_password(context.out, choice.source);
    const auto sources = make_sources(
        request, source_types(), [&]() -> const Config& { return context.config(); },
        [&](const SecretReference& reference) { return context.secrets.text_of(reference); });
    if (sources.size() != 1) throw Error{Code::usage, "`follow` needs one source"};
    const engine::FollowPlan plan{.host = request.host,
                                  .domain = context.domain_of(choice.source, choice.domain),
                                  .once = choice.once,
                                  .take_over = choice.take_over,
                                  .flush_every = flush_of(context, choice)};
    const auto parts = parts_of(*sources.front(), context.world);
    if (parts.empty())
        follow_alone(context, *sources.front(), plan);
    else if (choice.once)
        for (const auto& part : parts) follow_alone(context, *part, plan);
    else
        follow_together(context, parts, plan);
    return 0;
}

}  // namespace

Command follow_command() {
    const auto choice = std::make_shared<FollowChoice>();
    Command out;
    out.name = "follow";
    out.part = Part::make;
    out.summary = "capture a source's changes as they come";
    out.details =
        "Reads the change log of a database without a gap and keeps it as a journal in the repository, from which "
        "`restore --at` reaches any instant. Where nothing leads on from what the journal has, it says why, begins a "
        "new window and takes a base for it by itself.\n"
        "It goes on until it is stopped, which ends cleanly; --once brings the journal up to now and ends, as for a "
        "job that runs every hour. What was read is stored at least every --flush: half of the source's "
        "`objectives: {rpo: …}`, else 5 seconds.\n"
        "One process follows a source at a time. --take-over ends the work of another one, for a machine that is gone.";
    out.examples = {{"holdfast follow orders-db", "until it is stopped"},
                    {"holdfast follow sessions --once", "up to now"},
                    {"holdfast windows orders-db", "what can be reached"}};
    out.options.word(choice->source, "SOURCE", "name from the configuration, or a URL such as `redis://cache1`")
        .offers = Option::Offers::sources;
    out.options.flag(choice->once, "--once", "up to what is there now, then end");
    out.options.duration(choice->flush, "--flush", "TIME", "store what was read at least so often");
    out.options.flag(choice->take_over, "--take-over", "also from a process that seems to be at work");
    out.options.value(choice->request.name, "--name", "NAME", "call the source so, instead of its URL");
    out.options.value(choice->domain, "--domain", "NAME",
                      "deduplicate within this domain only (default: as configured, or the key's)");
    out.options.value(choice->host, "--host", "NAME", "say that it was made on this host");
    for (const SourceOption& option : command_line_options(source_types()))
        add_source_option(choice->request.options, out.options, option);
    out.run = [choice](Context& context) { return run_follow(context, *choice); };
    return out;
}

}  // namespace holdfast::app
