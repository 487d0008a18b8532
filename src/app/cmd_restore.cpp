#include <algorithm>
#include <filesystem>
#include <ranges>

#include "app/command.h"
#include "app/context.h"
#include "app/environment.h"
#include "app/origins.h"
#include "app/progress_line.h"
#include "app/recorder.h"
#include "app/registry.h"
#include "app/select.h"
#include "app/source_options.h"
#include "app/url_password.h"
#include "app/verified.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/facts.h"
#include "engine/left_out.h"
#include "engine/look.h"
#include "engine/recovery.h"
#include "engine/restore.h"
#include "engine/select.h"
#include "policy/recovery_time.h"
#include "repo/keys.h"
#include "repo/replica.h"

namespace holdfast::app {

namespace {

struct RestoreChoice {
    Wanted wanted;
    std::optional<std::string> from;
    std::vector<std::string> include;
    std::vector<std::string> exclude;
    std::string target;
    bool in_place = false;
    bool overwrite = false;
    bool delete_others = false;
    bool no_sync = false;
    bool dry_run = false;
    bool plan = false;
    bool swap = false;
    bool unswap = false;
    SourceOptions server;  // what restores into servers know
    bool no_verify = false;
    HookOptions hooks;
};

void refuse_what_does_not_fit(const RestoreChoice& choice) {
    if (choice.in_place && choice.overwrite) throw Error{Code::usage, "--in-place and --overwrite do not go together"};
    if (choice.target.empty() && !choice.in_place && !choice.plan)
        throw Error{Code::usage, "`restore` needs --to TARGET"}.hint(
            "`--in-place` without --to puts files back where they were; `--plan` only says what would be "
            "done.");
}

// The folder whose contents go to the target itself: the one after ":", or that of the file named there.
std::string folder_to_strip(repo::Repository& repository, const Selected& selected) {
    std::string out = selected.path;
    engine::list(repository, *selected.snapshot, selected.path, false, [&](const Item& item) {
        if (item.path == selected.path && item.kind != ItemKind::folder) out = split_path(selected.path).first;
        return false;
    });
    return out;
}

// At the latest; in a pause, its begin.
Nanoseconds reached_by(const engine::RestorePlan& plan, const repo::Snapshot& snapshot) {
    if (!plan.journal) return snapshot.moment ? snapshot.moment->time : snapshot.time;
    const auto& segments = plan.journal->segments();
    const Nanoseconds until = *plan.part.request.until;
    Nanoseconds reached = std::min(segments[plan.part.end - 1].last.time, until);
    for (std::size_t i = plan.part.begin; i < plan.part.end; ++i)
        for (const Pause& pause : segments[i].pauses)
            if (pause.from < until && until < pause.to) reached = std::min(reached, pause.from);
    return std::max(snapshot.moment->time, reached);
}

Json json_of(const std::optional<policy::RecoveryTime>& known) {
    if (!known) return {};
    return {{"count", known->count}, {"median_seconds", known->median}, {"worst_seconds", known->worst}};
}

std::string text_of(const std::optional<policy::RecoveryTime>& known) {
    if (!known) return "not known: it was never restored or proven as a whole";
    const auto text = [](double seconds) { return human_duration(static_cast<Nanoseconds>(seconds * one_second)); };
    return fmt::format("{}, at worst {}, by {} of the whole", text(known->median), text(known->worst),
                       counted(known->count, "restore or proof", "restores and proofs"));
}

int print_plan(Context& context, repo::Repository& repository, const engine::RestorePlan& plan,
               const repo::Snapshot& snapshot) {
    const engine::RestoreForecast forecast = engine::forecast(repository, plan);
    const auto recovery = policy::recovery_time(engine::recovery_seconds(repository, snapshot.source));
    Output& out = context.out;
    if (out.is_json()) {
        out.record({{"type", "plan"},
                    {"schema", "holdfast.restore/1"},
                    {"snapshot", snapshot.id.hex()},
                    {"repository", repository.store().url()},
                    {"source", snapshot.source},
                    {"reached", rfc3339(reached_by(plan, snapshot))},
                    {"items", forecast.items},
                    {"records", forecast.journal_records},
                    {"bytes", forecast.bytes},
                    {"bytes_to_read", forecast.bytes_to_read},
                    {"packs", forecast.packs},
                    {"requests", forecast.requests},
                    {"recovery", json_of(recovery)}});
        return 0;
    }
    out.line(fmt::format("snapshot  {} of {}", snapshot.id.short_hex(), printable(snapshot.source)));
    out.line(fmt::format("reaches   {}",
                         plan.journal ? rfc3339(reached_by(plan, snapshot)) : rfc3339_seconds(snapshot.time)));
    out.line(fmt::format("writes    {}, {}", counted(forecast.items, "item", "items"), human_bytes(forecast.bytes)));
    if (plan.journal)
        out.line(
            fmt::format("replays   up to {} of the journal", counted(forecast.journal_records, "record", "records")));
    out.line(fmt::format("reads     {} in {} from {}", human_bytes(forecast.bytes_to_read),
                         counted(forecast.requests, "request", "requests"), counted(forecast.packs, "pack", "packs")));
    out.line("takes     " + text_of(recovery));
    return 0;
}

void print_records(Output& out, const std::vector<Rebuild::Records>& list) {
    constexpr std::size_t shown_max = 20;
    for (const Rebuild::Records& each : list | std::views::take(shown_max))
        out.line(fmt::format("  {}: {} added, {} replaced, {} left as they were", printable(each.name),
                             counted(each.added, "document", "documents"), human_count(each.replaced),
                             human_count(each.left)));
    if (list.size() > shown_max)
        out.line(fmt::format("  … and of {} more, which --json tells", list.size() - shown_max));
}

void print_report(const RestoredTarget& target, const engine::RestoreReport& report,
                  const std::optional<Verified>& verified) {
    Output& out = target.context.out;
    const repo::Snapshot& snapshot = target.snapshot;
    const RebuildRequest& request = target.request;
    const engine::RestorePlan& plan = target.plan;
    print_findings(out, report.damaged);
    print_findings(out, report.rebuilt.findings);
    const Rebuild::Summary& rebuilt = report.rebuilt;
    if (out.is_json()) {
        Json line{{"type", "summary"},
                  {"schema", "holdfast.restore/1"},
                  {"snapshot", snapshot.id.hex()},
                  {"repository", target.repository.store().url()},
                  {"seconds", report.seconds},
                  {"items", report.items},
                  {"bytes", report.bytes},
                  {"reached", rfc3339(reached_by(plan, snapshot))},
                  {"written", rebuilt.items_written},
                  {"unchanged", rebuilt.items_unchanged},
                  {"deleted", rebuilt.items_deleted},
                  {"failed", report.damaged.size() + rebuilt.findings.size()}};
        if (report.replayed) line["records"] = report.replayed->records;
        for (const Rebuild::Records& each : rebuilt.records)
            line["collections"].push_back({{"name", to_valid_utf8(each.name)},
                                           {"added", each.added},
                                           {"replaced", each.replaced},
                                           {"left", each.left}});
        if (verified) line["verified"] = json_of(*verified);
        if (request.dry_run) line["dry_run"] = true;
        out.record(line);
        return;
    }
    if (out.quiet) return;
    out.line(fmt::format("{} snapshot {} of {} {} {}", request.dry_run ? "would restore" : "restored",
                         snapshot.id.short_hex(), printable(snapshot.source), request.dry_run ? "to" : "into",
                         printable(without_password(request.target))));
    out.line(fmt::format("  items  {}: {} written, {} unchanged, {} deleted", human_count(report.items),
                         human_count(rebuilt.items_written), human_count(rebuilt.items_unchanged),
                         human_count(rebuilt.items_deleted)));
    print_records(out, rebuilt.records);
    out.line(fmt::format("  bytes  {}", human_bytes(report.bytes)));
    if (report.replayed)
        out.line(fmt::format("  then   {} of the journal, to {}",
                             counted(report.replayed->records, "record", "records"),
                             rfc3339(reached_by(plan, snapshot))));
    out.line(fmt::format("  time   {}", time_and_rate(report.seconds, report.bytes)));
    if (verified) print_verified(out, *verified);
}

void fail_if_incomplete(const engine::RestoreReport& report) {
    if (!report.damaged.empty())
        throw Error{Code::corrupt, "{} could not be restored, because the repository is damaged",
                    counted(report.damaged.size(), "item", "items")}
            .unharmed("everything else was restored")
            .hint(
                "`holdfast check --read-data` lists what is damaged; older snapshots may have these items "
                "whole.");
    if (!report.rebuilt.findings.empty())
        throw Error{Code::partial, "restored in part: {}",
                    counted(report.rebuilt.findings.size(), "item is not as it was", "items are not as they were")}
            .unharmed("everything else was restored");
}

bool is_given(const SourceOptions& options, std::string_view name) {
    const auto found = options.find(name);
    return found != options.end() && !found->second.empty();
}

// "postgres://host/shop?sslmode=require" with another database in it.
std::string with_database(const std::string& url, std::string_view name) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    const std::size_t begin = std::min(url.find_first_of("/?", url.find("://") + 3), url.size());
    const std::size_t end = std::min(url.find('?', begin), url.size());
    std::string encoded;
    for (const char c : name)
        encoded += plain.find(c) != std::string_view::npos ? std::string(1, c)
                                                           : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return url.substr(0, begin) + "/" + encoded + url.substr(end);
}

bool is_server(const std::string& target) { return target.find("://") != std::string::npos; }

void refuse_other_servers(const RestoreChoice& choice, const SourceType& type) {
    if (!is_server(choice.target)) return;
    const std::string scheme = choice.target.substr(0, choice.target.find(':'));
    if (type.measure == nullptr || (scheme != type.scheme && scheme != type.other_scheme))
        throw Error{Code::usage, "a snapshot of kind {} cannot be restored into {}://", type.kind, scheme}.hint(
            "Give a folder with --to.");
    if (choice.in_place || choice.overwrite || choice.delete_others)
        throw Error{Code::usage, "--in-place, --overwrite and --delete are for folders"}.hint(
            "For a server, --existing says what becomes of what is there.");
}

// With --at, the journal of the source leads on from its newest base to that very instant.
repo::Snapshot choose_route(Context& context, const repo::Repository& repository, const Wanted& wanted,
                            Selected& selected, engine::RestorePlan& plan) {
    const repo::Snapshot& nearest = *selected.snapshot;
    if (!wanted.at) return nearest;
    const auto journal = std::make_shared<repo::Journal>(repository, nearest.source);
    journal->read();
    const Nanoseconds instant = *parse_time(*wanted.at, context.world.clock.now());
    const auto route = engine::find_route(*journal, repository.snapshots(), instant);
    if (!route) return nearest;
    selected.remarks.clear();
    if (is_local_time(*wanted.at))
        selected.remarks.push_back(fmt::format("--at {} is {}", *wanted.at, rfc3339(instant)));
    if (!route->whole)
        selected.remarks.push_back(fmt::format("the journal of {} ends at {}, before {}", nearest.source,
                                               rfc3339(route->reaches.time), rfc3339(instant)));
    plan.journal = journal;
    plan.part = {route->begin, route->end, {.from = *route->base->moment, .until = instant, .until_before = {}}};
    return *route->base;
}

bool has_parts(const std::string& path) { return path.find('/') != std::string::npos; }

// Of "0/user:*" the items are those of database 0.
void choose_items_that_hold(engine::RestorePlan& plan) {
    for (std::string& each : plan.include) each.resize(std::min(each.find('/'), each.size()));
    std::erase_if(plan.exclude, has_parts);
}

RebuildRequest request_for(Context& context, const RestoreChoice& choice, const repo::Snapshot& snapshot) {
    const std::string target = is_server(choice.target) ? choice.target
                               : choice.target.empty()
                                   ? "/"
                                   : std::filesystem::absolute(choice.target).lexically_normal().string();
    return {.world = context.world,
            .target = target,
            .existing = choice.in_place    ? Existing::in_place
                        : choice.overwrite ? Existing::overwrite
                                           : Existing::refuse,
            .sync = !choice.no_sync,
            .dry_run = choice.dry_run,
            .snapshot_id = snapshot.id.hex(),
            .strip = ""};
}

std::string selection_text(const RestoreChoice& choice) {
    std::string out;
    for (const auto& [option, patterns] : {std::pair("--include", &choice.include), {"--exclude", &choice.exclude}})
        for (const std::string& pattern : *patterns)
            out += fmt::format("{}{} '{}'", out.empty() ? "" : " ", option, pattern);
    return out;
}

// Restores, compares, prints.
void restore_and_verify(const RestoredTarget& target, const RestoreChoice& choice, RestoreRun& run) {
    Context& context = target.context;
    const auto rebuild = target.type.rebuild(target.request);
    run.has_begun = true;
    {
        engine::Progress progress;
        const ProgressLine line(context.out, context.world.clock, progress, "restoring");
        run.report = engine::restore(target.repository, target.plan, *rebuild, progress);
    }
    if (!choice.no_verify && !choice.dry_run) run.verified = verify_restored(target, run.report);
    print_report(target, run.report, run.verified);
    if (!run.report.damaged.empty()) fail_if_incomplete(run.report);
    if (run.verified) fail_if_not_equal(*run.verified);
    fail_if_incomplete(run.report);
}

// One record of all that `work` does, whatever comes of it.
void recorded(const RestoredTarget& target, const RestoreChoice& choice, RestoreRun& run,
              const std::function<void()>& work) {
    const Clock& clock = target.context.world.clock;
    const Nanoseconds began = clock.steady();
    const auto record_end = [&](std::string_view result, const std::string& error) {
        if (!run.has_begun && run.steps.empty()) return;
        run.seconds = static_cast<double>(clock.steady() - began) / one_second;
        if (!choice.dry_run) record_run(target, run, result);
        app::record(target.context, {.source = target.snapshot.source,
                                     .snapshot = target.snapshot.id.hex(),
                                     .result = std::string(result),
                                     .error = error,
                                     .seconds = run.seconds,
                                     .restore_seconds = run.report.seconds,
                                     .bytes = run.report.bytes,
                                     .items = run.report.items});
    };
    try {
        work();
    } catch (const Error& error) {
        record_end(info_of(error.code()).slug, error.message());
        throw;
    }
    record_end("ok", "");
}

// Who swaps wants all of it in place: what is in use stays there when only a part would come.
void restore_for_swap(const RestoredTarget& target, const RestoreChoice& choice, RestoreRun& run) {
    try {
        restore_and_verify(target, choice, run);
    } catch (const Error& error) {
        if (error.code() != Code::partial) throw;
        throw Error{Code::target_failed, "not swapped, because what was restored is not whole: {}", error.message()}
            .unharmed(fmt::format("nothing was renamed; {} holds what was restored",
                                  choice.server.find("beside")->second.front()))
            .hint("Restore again once what is listed is mended; or rename it yourself if it will do.");
    }
}

void print_renamed(Output& out, const std::vector<std::string>& lines) {
    if (out.is_json()) return out.record({{"type", "swap"}, {"schema", "holdfast.restore/1"}, {"renamed", lines}});
    if (out.quiet) return;
    for (const std::string& line : lines) out.line("  " + printable(line));
}

int run_unswap(Context& context, const RestoreChoice& given) {
    RestoreChoice choice = given;
    if (auto place = place_in_environment(context, choice.target, choice.wanted.source)) choice.target = *place;
    if (!is_server(choice.target)) throw Error{Code::usage, "--unswap needs --to with the server's URL"};
    const SourceType* const type = source_type_of_argument(choice.target);
    if (type == nullptr || type->swap == nullptr)
        throw Error{Code::usage, "there is nothing to swap at {}", choice.target.substr(0, choice.target.find(':'))};
    print_renamed(context.out, type->swap({context.world, choice.target, choice.server, {}, true}));
    return 0;
}

// A partitioned table has no rows of its own: its partitions are meant.
void add_what_they_stand_for(const SourceType& type, const Facts& facts, engine::RestorePlan& plan) {
    for (std::vector<std::string>* const patterns : {&plan.include, &plan.exclude}) {
        const std::vector<std::string> given = *patterns;
        for (const std::string& pattern : given)
            for (std::string& item : type.stands_for(facts, pattern)) patterns->push_back(std::move(item));
    }
}

Origin open_copy(Context& context, const RestoreChoice& choice) {
    Origin out{*choice.from, context.open_repository(context.choose_repository(*choice.from), context.usual_places()),
               choice.wanted};
    if (out.repository->is_replica())
        context.out.say(fmt::format("restoring from the replica {}, which is as of {}", out.repository->store().url(),
                                    rfc3339(out.repository->replica()->time)));
    return out;
}

int restore_from(Context& context, const RestoreChoice& given, const Origin& origin, RestoreRun& run) {
    RestoreChoice choice = given;
    choice.wanted = origin.wanted;
    const auto& repository = origin.repository;
    repository->keys().require(repo::Right::read, "restore");
    Selected selected = select_snapshot(repository->snapshots(), choice.wanted, context.world.clock.now());
    engine::RestorePlan plan{{}, choice.include, choice.exclude, selected.path};
    const repo::Snapshot snapshot = choose_route(context, *repository, choice.wanted, selected, plan);
    plan.snapshot = snapshot.id;
    for (const std::string& remark : selected.remarks) context.out.say(remark);

    const SourceType* const type = source_type(snapshot.kind);
    if (type == nullptr) throw Error{Code::usage, "this holdfast cannot restore snapshots of kind {}", snapshot.kind};
    const auto place = place_in_environment(context, choice.target, snapshot.source);
    if (place) choice.target = *place;
    refuse_other_servers(choice, *type);
    if (place)
        refuse_the_source(context, *type, snapshot, engine::read_facts(*repository, snapshot), given.target, *place);
    if (choice.swap && (!is_server(choice.target) || type->swap == nullptr || !is_given(choice.server, "beside")))
        throw Error{Code::usage, "--swap needs a server as --to, and --beside NAME"};
    const bool into_server = is_server(choice.target) || type->own_folder_form;
    if (into_server) {
        if (!plan.below.empty()) plan.include.push_back(std::exchange(plan.below, {}));
        plan.along = type->comes_along;
    }
    if (type->stands_for != nullptr && !(plan.include.empty() && plan.exclude.empty()))
        add_what_they_stand_for(*type, engine::read_facts(*repository, snapshot).value_or(Facts{}), plan);
    const engine::RestorePlan wanted = plan;
    if (type->own_folder_form) choose_items_that_hold(plan);
    // What a change does may depend on anything.
    if (type->own_folder_form && plan.journal) plan.include = plan.exclude = {};
    if (choice.plan) return print_plan(context, *repository, plan, snapshot);

    RebuildRequest request = request_for(context, choice, snapshot);
    const engine::Selection selection(wanted.include, wanted.exclude);
    request.selection = selection_text(choice);
    if (choice.delete_others) {
        request.may_delete = [&snapshot, selection](const std::string& path) {
            return selection.wants(path) && !engine::is_left_out(snapshot, path);
        };
        if (!snapshot.left_out.empty())
            context.out.say(fmt::format("the backup left out something at {}: nothing is deleted there",
                                        printable(join(snapshot.left_out, ", "))));
    }
    if (into_server) {
        request.options = choice.server;
        for (auto& [name, values] : machine_options(*type, context.config(), snapshot.source))
            if (!is_given(request.options, name)) request.options[name] = values;
        if (plan.journal) request.options["until"] = {fmt::format("{}", *plan.part.request.until)};
        if (is_given(request.options, "beside"))
            request.target = with_database(request.target, request.options.find("beside")->second.front());
        request.facts = engine::read_facts(*repository, snapshot);
        // Of what holds something that was left out, nothing is equal as a whole.
        const bool cuts_into_items = type->own_folder_form && std::ranges::any_of(wanted.exclude, has_parts);
        if (!selection.all())
            request.wants = [selection, cuts_into_items](const std::string& path) {
                return selection.wants(path) && (!cuts_into_items || has_parts(path));
            };
    } else if (!selected.path.empty())
        request.strip = folder_to_strip(*repository, selected);
    if ((choice.overwrite || choice.delete_others) && !choice.dry_run &&
        !context.confirm(fmt::format("{} what lies in {}?", choice.delete_others ? "Replace and delete" : "Replace",
                                     printable(request.target))))
        throw Error{Code::cancelled, "the answer was no"}.unharmed("nothing was written to the target");

    const RestoredTarget target{context, *repository, snapshot, *type, plan, request};
    if (choice.dry_run) {
        recorded(target, choice, run, [&] { restore_and_verify(target, choice, run); });
        return 0;
    }
    const auto restore_and_swap = [&] {
        if (!choice.swap) return restore_and_verify(target, choice, run);
        restore_for_swap(target, choice, run);
        as_step(run.steps, "swap", [&] {
            const auto renamed =
                type->swap({context.world, choice.target, request.options, request.facts.value_or(Facts{}), false});
            print_renamed(context.out, renamed);
            return join(renamed, "; ");
        });
    };
    recorded(target, choice, run, [&] {
        with_hooks(context, choice.hooks, {snapshot.source, request.target, snapshot.id.hex(), ""}, run.steps,
                   restore_and_swap);
    });
    return 0;
}

// What a folder has already of an earlier try stays; in servers and environments nothing is begun twice.
bool is_plain_folder(const RestoreChoice& choice) {
    return choice.target.empty() || (!is_server(choice.target) && choice.target.find('/') != std::string::npos);
}

int run_restore(Context& context, const RestoreChoice& given) {
    RestoreChoice choice = given;
    if (choice.unswap) return run_unswap(context, choice);
    refuse_what_does_not_fit(choice);
    warn_of_password(context.out, choice.target);
    context.pass_over_broken_config();
    RestoreRun run;
    if (choice.from) return restore_from(context, choice, open_copy(context, choice), run);
    const bool is_folder = is_plain_folder(choice);
    Origins origins(context, {.wanted = choice.wanted,
                              .writes_over = !is_folder || choice.in_place || choice.overwrite || choice.delete_others,
                              .begins_once = !is_folder});
    while (true) {
        const Origin origin = origins.next();
        try {
            run = {};
            return restore_from(context, choice, origin, run);
        } catch (const Error& error) {
            if (!origins.go_on_after(error, origin, !run.report.damaged.empty())) throw;
        }
        choice.in_place = choice.in_place || (run.has_begun && !choice.overwrite);
    }
}

}  // namespace

Command restore_command() {
    const auto choice = std::make_shared<RestoreChoice>();
    Command out;
    out.name = "restore";
    out.is_recorded = true;
    out.part = Part::bring_back;
    out.summary = "bring a snapshot, or a part of it, back";
    out.details =
        "Files go under TARGET with their full path; with `SNAPSHOT:/path` that folder's contents go to "
        "TARGET itself.\n"
        "A TARGET that is not empty is refused unless --in-place (write only what differs) or --overwrite is "
        "given. Nothing that "
        "the snapshot does not have is removed without --delete, and nothing that --include or --exclude leaves "
        "out with it. The same command takes up its own interrupted restore.\n"
        "Afterwards the target is read back and compared with the snapshot, and the checks of the source run; a "
        "difference "
        "is exit status 13, what cannot be compared is NOT TESTED. --no-verify leaves that out.\n"
        "Hooks find HOLDFAST_SOURCE, HOLDFAST_TARGET, HOLDFAST_SNAPSHOT and HOLDFAST_RESULT in their environment.\n"
        "A URL as TARGET restores databases into that server; a database in it renames a single captured one. "
        "--existing says what becomes of what is there; --beside NAME leaves it alone, and --swap renames both in "
        "the end. A name of `environments` in the configuration stands for the source's place there, which is refused "
        "(16) when it is the source itself.\n"
        "--at TIME goes to that very instant where the source is followed (`holdfast windows`), else to the newest "
        "snapshot at or before it.\n"
        "Where the configuration has copies (`replica_of`), the nearest that has the snapshot whole is read and named: "
        "a "
        "folder first, else what answers soonest; the next one when it cannot be reached or something in it is "
        "damaged. "
        "--from chooses.\n"
        "TIME is RFC 3339, `2026-03-01 04:10:00` (local), a date (its end) or an age such as `2h`.";
    out.examples = {
        {"holdfast restore latest --source files:/etc --to /tmp/etc", "the newest snapshot, into an empty folder"},
        {"holdfast restore 7c19:/srv/uploads --to /srv/uploads --in-place", "only what differs"},
        {"holdfast restore --source uploads --at '2026-03-01 04:10' --include '**/*.pdf' --to /tmp/pdf",
         "some files as of a time"},
        {"holdfast restore latest --source orders-db --to postgres://postgres@db2/", "databases, into a server"},
        {"holdfast restore latest --source orders-db --to postgres://db1/shop --include shop/public/orders --existing "
         "replace --into-source",
         "one table, back to where it was"},
        {"holdfast restore latest --source orders-db --to postgres://db1/shop --beside shop_new --swap",
         "beside the one in use, then in its place"},
        {"holdfast restore good --source orders-db --to staging --existing drop", "into a configured environment"},
        {"holdfast restore latest --source uploads --from offsite --to /srv/uploads",
         "from a copy, when the repository is lost"},
        {"holdfast restore latest --source uploads --plan", "what it would read and write"}};
    out.options.word(choice->wanted.text, "SNAPSHOT", "id, `latest`, `good` or a source's name; `:/path` may follow")
        .offers = Option::Offers::snapshots;
    out.options.value(choice->target, "--to", "TARGET", "the folder, server or environment that is written").offers =
        Option::Offers::targets;
    add_selection(out.options, choice->wanted);
    out.options.value(choice->from, "--from", "REPO", "from this repository, and no other").offers =
        Option::Offers::folders;
    out.options.list(choice->include, "-i,--include", "PATTERN",
                     "only items with this path or glob, and what is in them");
    out.options.list(choice->exclude, "-e,--exclude", "PATTERN", "not these");
    out.options.flag(choice->in_place, "--in-place", "write only what differs; without --to, where it was");
    out.options.flag(choice->overwrite, "--overwrite", "replace what is in the way");
    out.options.flag(choice->delete_others, "--delete", "in restored folders, remove what the snapshot does not have");
    out.options.flag(choice->no_sync, "--no-sync", "do not wait until everything is on the disk");
    out.options.flag(choice->no_verify, "--no-verify", "do not compare the target with the snapshot afterwards");
    add_hook_options(out.options, choice->hooks);
    out.options.flag(choice->dry_run, "-n,--dry-run", "say what would be written, write nothing");
    out.options.flag(choice->plan, "--plan", "print what would be read and written, and stop");
    out.options.flag(choice->swap, "--swap", "then give what was restored beside the place of what is in use");
    out.options.flag(choice->unswap, "--unswap", "go back to what was in use before a --swap; needs --to only");
    for (const SourceType* type : source_types())
        for (const SourceOption& option : type->restore_options)
            if (!choice->server.contains(option.name)) add_source_option(choice->server, out.options, option);
    out.run = [choice](Context& context) { return run_restore(context, *choice); };
    return out;
}

}  // namespace holdfast::app
