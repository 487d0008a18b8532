#include <limits>

#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "app/recorder.h"
#include "app/registry.h"
#include "app/select.h"
#include "app/verified.h"
#include "app/version.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/prove.h"
#include "policy/job.h"
#include "policy/pick.h"
#include "repo/keys.h"
#include "sandbox/isolation.h"
#include "sandbox/sandbox.h"

namespace holdfast::app {

namespace {

struct ProveChoice {
    Wanted wanted;
    std::string level = "V4";
    std::string sandbox;
    std::string bytes_max;  // "": any size
    bool random = false;
    bool allow_unisolated = false;
    bool reap = false;
    bool dry_run = false;
};

std::uint8_t level_of(std::string_view text) {
    if (const auto level = policy::parse_level(text)) return *level;
    if (text == "V5" || text == "v5" || text == "5")
        throw Error{Code::usage, "V5 is part of holdfast's design but this version does not build it yet"}.hint(
            "`checks` of the source run at V4.");
    throw Error{Code::usage, "`{}` is no level of proof", text}.hint("There is V0 to V4.");
}

std::string sandbox_root(const ProveChoice& choice) {
    return choice.sandbox.empty() ? default_sandbox_root() : choice.sandbox;
}

std::uint64_t bytes_max_of(const ProveChoice& choice) {
    if (choice.bytes_max.empty()) return std::numeric_limits<std::uint64_t>::max();
    const auto out = parse_size(choice.bytes_max);
    if (!out) throw Error{Code::usage, "`{}` is no size", choice.bytes_max}.hint("Write 50G or 800M.");
    return *out;
}

// One of all of them, or of those of a source: of any age, and not larger than is allowed.
const repo::Snapshot& at_random(Context& context, const repo::Repository& repository, const ProveChoice& choice) {
    std::optional<std::string> source = choice.wanted.source;
    if (!choice.wanted.text.empty() && choice.wanted.text != "latest") source = choice.wanted.text;
    const std::uint64_t bytes_max = bytes_max_of(choice);
    const Nanoseconds now = context.world.clock.now();
    std::vector<const repo::Snapshot*> candidates;
    std::vector<Nanoseconds> ages;
    std::size_t too_large = 0;
    for (const repo::Snapshot& each : repository.snapshots()) {
        if (source && !is_source(each, *source)) continue;
        if (each.bytes.logical > bytes_max) {
            ++too_large;
            continue;
        }
        candidates.push_back(&each);
        ages.push_back(now - each.time);
    }
    if (!candidates.empty()) return *candidates[policy::pick_by_age(ages, context.world.random)];
    if (too_large > 0)
        throw Error{Code::partial, "nothing is proven: {} more than {}",
                    counted(too_large, "snapshot holds", "snapshots hold"), human_bytes(bytes_max)};
    throw Error{Code::not_found, "there is no snapshot{}", source ? " of source " + *source : " to prove"}.hint(
        "`holdfast backup` makes one.");
}

const repo::Snapshot& chosen(Context& context, const repo::Repository& repository, const ProveChoice& choice) {
    if (choice.random) return at_random(context, repository, choice);
    const Selected selected = select_snapshot(repository.snapshots(), choice.wanted, context.world.clock.now());
    if (!selected.path.empty())
        throw Error{Code::usage, "a snapshot is proven as a whole, not {} of it", selected.path};
    for (const std::string& remark : selected.remarks) context.out.say(remark);
    const repo::Snapshot& snapshot = *selected.snapshot;
    if (snapshot.bytes.logical > bytes_max_of(choice))
        throw Error{Code::partial,
                    "snapshot {} of {} is not proven: it holds {}, more than {}",
                    snapshot.id.short_hex(),
                    printable(snapshot.source),
                    human_bytes(snapshot.bytes.logical),
                    human_bytes(bytes_max_of(choice))};
    return snapshot;
}

void reap(Context& context, const ProveChoice& choice) {
    for (const std::string& path : reap_sandboxes(context.world, sandbox_root(choice)))
        context.out.say("removed the sandbox that an earlier proof left: " + path);
}

int print_dry_run(Context& context, const repo::Snapshot& snapshot, const engine::ProvePlan& plan) {
    Output& out = context.out;
    const std::vector<std::string> isolation = possible_isolation().kinds();
    if (out.is_json()) {
        out.record({{"type", "plan"},
                    {"schema", "holdfast.prove/1"},
                    {"snapshot", snapshot.id.hex()},
                    {"source", snapshot.source},
                    {"level", fmt::format("V{}", plan.level)},
                    {"sandbox", plan.sandbox_root},
                    {"bytes", snapshot.bytes.logical},
                    {"checks", plan.checks.size()},
                    {"isolation", isolation},
                    {"dry_run", true}});
        return 0;
    }
    out.line(fmt::format("would prove snapshot {} of {} up to V{}", snapshot.id.short_hex(), printable(snapshot.source),
                         plan.level));
    out.line(fmt::format("  restores   {}, {} below {}", counted(snapshot.items, "item", "items"),
                         human_bytes(snapshot.bytes.logical), plan.sandbox_root));
    out.line(fmt::format("  checks     {} of the source", plan.checks.size()));
    out.line(fmt::format("  isolation  {}", isolation.empty() ? "none" : join(isolation, ", ")));
    return 0;
}

void print_report(Output& out, const engine::ProofReport& report) {
    if (out.is_json()) {
        out.record({{"type", "summary"},
                    {"schema", "holdfast.prove/1"},
                    {"snapshot", report.snapshot.hex()},
                    {"source", report.source},
                    {"level", fmt::format("V{}", report.level)},
                    {"result", name_of(report.result)},
                    {"seconds", report.seconds},
                    {"restore_seconds", report.restore_seconds},
                    {"items", report.items},
                    {"bytes", report.bytes},
                    {"basis", report.basis},
                    {"coverage", report.coverage},
                    {"remark", report.remark},
                    {"isolation", report.isolation},
                    {"checks", json_of(report.checks)}});
        return;
    }
    if (out.quiet) return;
    print_checks(out, report.checks);
    out.line(fmt::format("{} at V{}: snapshot {} of {}", result_text(report.result), report.level,
                         report.snapshot.short_hex(), printable(report.source)));
    out.line("  coverage   " + report.coverage);
    if (!report.basis.empty()) out.line("  facts      " + report.basis);
    if (!report.isolation.empty()) out.line("  isolation  " + join(report.isolation, ", "));
    out.line(fmt::format("  time       {}, of it the restore {}", time_and_rate(report.seconds, 0),
                         time_and_rate(report.restore_seconds, report.bytes)));
}

int fail_unless_passed(const engine::ProofReport& report, std::uint8_t wanted) {
    if (report.result == CheckLine::Result::fail)
        throw Error{Code::corrupt, "snapshot {} failed its proof at V{}", report.snapshot.short_hex(), report.level}
            .hint("`holdfast check --read-data` looks for damage; back up again, and prove that.");
    if (report.result == CheckLine::Result::not_tested)
        throw Error{Code::partial, "snapshot {} is proven up to V{} only; V{} is not tested",
                    report.snapshot.short_hex(), report.level, wanted};
    return 0;
}

// Or what even a pass does not mean.
std::string first_failure(const engine::ProofReport& report) {
    if (report.result == CheckLine::Result::pass) return report.remark;
    for (const CheckLine& line : report.checks)
        if (line.result != CheckLine::Result::pass)
            return fmt::format("{}: expected {}, found {}", line.name, line.expected, line.found);
    return report.remark;
}

int run_prove(Context& context, const ProveChoice& choice) {
    const std::uint8_t level = level_of(choice.level);
    if (choice.reap) {
        reap(context, choice);
        return 0;
    }
    const auto repository = context.open_repository();
    repository->keys().require(repo::Right::read, "prove");
    const repo::Snapshot& snapshot = chosen(context, *repository, choice);
    const SourceType* const type = source_type(snapshot.kind);
    if (type == nullptr) throw Error{Code::usage, "this holdfast cannot restore snapshots of kind {}", snapshot.kind};
    engine::ProvePlan plan{.snapshot = snapshot.id,
                           .level = level,
                           .sandbox_root = sandbox_root(choice),
                           .allow_unisolated = choice.allow_unisolated};
    if (const SourceConfig* source = context.config().source(snapshot.source)) {
        plan.checks = source->checks;
        plan.options = source->options;
    }
    if (choice.dry_run) return print_dry_run(context, snapshot, plan);
    reap(context, choice);
    const engine::ProofReport report = [&] {
        engine::Progress progress;
        const ProgressLine line(context.out, context.world.clock, progress, "proving");
        return engine::prove(*repository, plan, *type, progress);
    }();
    record(context, {.source = report.source,
                     .snapshot = report.snapshot.hex(),
                     .result = std::string(name_of(report.result)),
                     .error = first_failure(report),
                     .proof_level = report.level,
                     .seconds = report.seconds,
                     .restore_seconds = report.restore_seconds,
                     .bytes = report.bytes,
                     .items = report.items});
    print_report(context.out, report);
    engine::record_proof(*repository, report, fmt::format("holdfast {}", version));
    return fail_unless_passed(report, level);
}

}  // namespace

Command prove_command() {
    const auto choice = std::make_shared<ProveChoice>();
    Command out;
    out.name = "prove";
    out.is_recorded = true;
    out.part = Part::bring_back;
    out.summary = "restore a snapshot into a sandbox and compare it with what was captured";
    out.details =
        "V0 listed, V1 all bytes authenticated, V2 restored, V3 read back and compared item by item (servers: a real "
        "one "
        "started on it and its own checker passed), V4 facts of the capture and the source's checks are equal.\n"
        "The result is signed into the repository: `snapshots` shows it, and `good` is the newest snapshot that passed "
        "at "
        "V3 or better. What cannot be run is NOT TESTED, never a pass. Exit status: 0 passed, 13 failed, 3 not tested "
        "as "
        "far as was asked.\n"
        "A sandbox is a private folder, and processes without network, without secrets and with a user of their own. "
        "It "
        "is removed at the end; one that a kill left is removed by the next proof, or by --reap.";
    out.examples = {{"holdfast prove --source orders-db", "its newest snapshot, up to V4"},
                    {"holdfast prove 7c19 --level V1", "only whether all bytes are there and authentic"},
                    {"holdfast prove --random", "any snapshot, as a job for every night"},
                    {"holdfast prove --reap", "remove what an interrupted proof left"}};
    out.options.word(choice->wanted.text, "SNAPSHOT", "id, `latest`, `good` or a source's name").offers =
        Option::Offers::snapshots;
    add_selection(out.options, choice->wanted);
    out.options.value(choice->level, "--level", "LEVEL", "how far: V0 to V4 (default V4)");
    out.options.flag(choice->random, "--random", "one that chance chooses, of all or of the source's; of any age");
    out.options.value(choice->bytes_max, "--max-bytes", "SIZE", "none that holds more; exit status 3 if all do");
    out.options.value(choice->sandbox, "--sandbox", "FOLDER", "where sandboxes are made (HOLDFAST_SANDBOX)").offers =
        Option::Offers::folders;
    out.options.flag(choice->allow_unisolated, "--allow-unisolated",
                     "also where this machine refuses to isolate processes; the result names what was missing");
    out.options.flag(choice->reap, "--reap", "only remove sandboxes that nobody uses any more");
    out.options.flag(choice->dry_run, "-n,--dry-run", "say what would be proven, restore nothing");
    out.run = [choice](Context& context) { return run_prove(context, *choice); };
    return out;
}

}  // namespace holdfast::app
