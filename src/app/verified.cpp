#include "app/verified.h"

#include <algorithm>
#include <map>

#include "app/progress_line.h"
#include "app/url_password.h"
#include "app/version.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/facts.h"
#include "engine/prove.h"
#include "engine/select.h"
#include "engine/verify.h"
#include "repo/notes.h"
#include "source/untold_facts.h"

namespace holdfast::app {

namespace {

constexpr std::size_t passed_shown_max = 20;
constexpr std::size_t untested_shown_max = 5;

bool is_server(const RebuildRequest& request) { return request.target.find("://") != std::string::npos; }

void compare_folder(const RestoredTarget& target, const engine::RestoreReport& report, Verified& out) {
    engine::Progress progress;
    progress.items_total = report.items;
    progress.bytes_total = report.bytes;
    const ProgressLine line(target.context.out, target.context.world.clock, progress, "verifying");
    engine::Verification found = engine::verify(
        target.repository, target.plan,
        {target.request.target, target.request.strip, report.rebuilt.findings, report.damaged}, progress);
    out.items = found.items;
    out.bytes = found.bytes;
    out.checks = std::move(found.checks);
}

std::string line_name(const Fact& fact) { return fact.item.empty() ? fact.name : fact.item + " " + fact.name; }

// What cannot be equal after a restore with these options (owners left out, other tables kept) is no failure, and no pass.
void excuse_what_cannot_be_equal(const RestoredTarget& target, const Facts& expected, const Facts& found,
                                 std::vector<CheckLine>& checks) {
    if (target.type.not_comparable == nullptr) return;
    std::map<std::string, std::string> reasons;
    const auto look = [&](const Fact& fact, const Fact* captured) {
        reasons.try_emplace(line_name(fact), target.type.not_comparable(fact, captured, target.request.options));
    };
    for (const Fact& fact : expected.list) look(fact, &fact);
    for (const Fact& fact : found.list)
        if (!reasons.contains(line_name(fact))) look(fact, nullptr);
    for (CheckLine& line : checks) {
        if (line.result != CheckLine::Result::fail) continue;
        const auto reason = reasons.find(line.name);
        if (reason == reasons.end() || reason->second.empty()) continue;
        line.result = CheckLine::Result::not_tested;
        line.found = reason->second;
    }
}

MeasureRequest measure_request(const RestoredTarget& target, const Facts& expected) {
    return {.world = target.context.world,
            .target = target.request.target,
            .expected = expected,
            .only = {},
            .options = target.request.options};
}

// The facts of the capture are of its base; what an instant has the restore itself may know.
void compare_instant(const RestoredTarget& target, const Facts& captured, const std::optional<Facts>& instant,
                     Verified& out) {
    if (instant) {
        MeasureRequest asked = measure_request(target, *instant);
        asked.wants = target.request.wants;
        Facts found = target.type.measure(asked);
        std::erase_if(found.list, [&](const Fact& fact) {
            return std::ranges::find(instant->list, fact.item, &Fact::item) == instant->list.end();
        });
        out.checks = compare_facts(*instant, found, {});
        excuse_what_cannot_be_equal(target, *instant, found, out.checks);
        // Of the base they may have been known, so unlike what no capture tells of they keep this from a pass.
        std::ranges::move(lines_of_untold(*instant, {}), std::back_inserter(out.checks));
        return;
    }
    CheckLine line{"instant", CheckLine::Result::not_tested, "a server of its own starts on it", ""};
    if (is_server(target.request)) {
        line.expected.clear();
        line.found = "the facts are of the base, before its journal";
    } else {
        try {
            const Facts found = target.type.measure(measure_request(target, captured));
            line.result = CheckLine::Result::pass;
            line.found = fmt::format("it does, and says {}", counted(found.list.size(), "fact", "facts"));
        } catch (const Error& error) {
            if (error.code() != Code::source_failed && error.code() != Code::target_failed) throw;
            if (error.code() == Code::target_failed) line.result = CheckLine::Result::fail;
            line.found = error.message();
        }
    }
    out.checks.push_back(line);
}

// Gives the lines of what has no fact.
std::vector<CheckLine> compare_server(const RestoredTarget& target, const engine::RestoreReport& report,
                                      Verified& out) {
    std::optional<Facts> facts = engine::read_facts(target.repository, target.snapshot);
    if (!facts || target.type.measure == nullptr) {
        out.checks.push_back({"facts", CheckLine::Result::not_tested, "", "the capture recorded none"});
        return {};
    }
    if (target.plan.journal) {
        compare_instant(target, *facts, report.rebuilt.instant, out);
        return {};
    }
    if (report.rebuilt.instant) facts = completed(*facts, *report.rebuilt.instant);
    const auto& wants = target.request.wants;
    std::vector<std::string> only;
    if (wants) {
        for (const Fact& fact : facts->list)
            if (wants(fact.item) && (only.empty() || only.back() != fact.item)) only.push_back(fact.item);
        if (only.empty()) {
            out.checks.push_back(
                {"facts", CheckLine::Result::not_tested, "", "the capture recorded none of these items"});
            return {};
        }
    }
    MeasureRequest asked = measure_request(target, *facts);
    asked.only = only;
    Facts found = target.type.measure(asked);
    const auto was_left_out = [&](const Fact& fact) { return !fact.item.empty() && wants && !wants(fact.item); };
    std::erase_if(facts->list, was_left_out);
    std::erase_if(found.list, was_left_out);
    out.checks = compare_facts(*facts, found, only);
    excuse_what_cannot_be_equal(target, *facts, found, out.checks);
    return lines_of_untold(*facts, only);
}

// That was restored.
std::string only_database(const RestoredTarget& target) {
    if (!is_server(target.request)) return "";
    std::optional<Facts> facts = engine::read_facts(target.repository, target.snapshot);
    const auto& wants = target.request.wants;
    if (facts && wants)
        std::erase_if(facts->list, [&](const Fact& fact) { return !fact.item.empty() && !wants(fact.item); });
    return engine::only_database(facts);
}

void run_own_checks(const RestoredTarget& target, Verified& out) {
    const SourceConfig* const source = target.context.config().source(target.snapshot.source);
    if (source == nullptr) return;
    const engine::CheckPlace place{.world = target.context.world,
                                   .type = target.type,
                                   .target = target.request.target,
                                   .database = only_database(target),
                                   .source = target.snapshot.source,
                                   .snapshot = target.snapshot.id.hex()};
    for (CheckLine& line : engine::run_checks(source->checks, place)) out.checks.push_back(std::move(line));
}

std::vector<engine::Hook> all_hooks(const std::vector<engine::Hook>* configured,
                                    const std::vector<std::string>& given) {
    std::vector<engine::Hook> out;
    if (configured != nullptr) out = *configured;
    for (const std::string& line : given) out.push_back(engine::shell_hook(line));
    return out;
}

}  // namespace

std::string result_text(CheckLine::Result result) {
    switch (result) {
        case CheckLine::Result::pass:
            return "PASS";
        case CheckLine::Result::fail:
            return "FAIL";
        case CheckLine::Result::not_tested:
            break;
    }
    return "NOT TESTED";
}

Json json_of(const std::vector<CheckLine>& checks) {
    Json out = Json::array();
    for (const CheckLine& each : checks)
        out.push_back({{"name", to_valid_utf8(each.name)},
                       {"result", name_of(each.result)},
                       {"expected", to_valid_utf8(each.expected)},
                       {"found", to_valid_utf8(each.found)}});
    return out;
}

void print_checks(Output& out, const std::vector<CheckLine>& checks) {
    Table table({{"CHECK"}, {"RESULT"}, {"EXPECTED"}, {"FOUND"}});
    std::size_t passed = 0;
    for (const CheckLine& each : checks) {
        if (each.result == CheckLine::Result::pass && ++passed > passed_shown_max) continue;
        table.add({printable(each.name), result_text(each.result), printable(each.expected), printable(each.found)});
    }
    if (!table.empty()) table.print(out);
    if (passed > passed_shown_max) out.line(fmt::format("… and {} more that passed", passed - passed_shown_max));
}

namespace {

std::vector<std::string> names_of_untested(const std::vector<CheckLine>& checks) {
    std::vector<std::string> out;
    for (const CheckLine& each : checks)
        if (each.result == CheckLine::Result::not_tested) out.push_back(printable(each.name));
    return out;
}

}  // namespace

Verified verify_restored(const RestoredTarget& target, const engine::RestoreReport& report) {
    const Clock& clock = target.context.world.clock;
    const Nanoseconds began = clock.steady();
    Verified out;
    std::vector<CheckLine> untold;
    if (is_server(target.request) || target.type.own_folder_form) {
        untold = compare_server(target, report, out);
    } else {
        compare_folder(target, report, out);
    }
    run_own_checks(target, out);
    out.result = engine::result_of(out.checks);
    std::ranges::move(untold, std::back_inserter(out.checks));
    out.seconds = static_cast<double>(clock.steady() - began) / one_second;
    return out;
}

Json json_of(const Verified& verified) {
    return {{"result", name_of(verified.result)},
            {"seconds", verified.seconds},
            {"items", verified.items},
            {"bytes", verified.bytes},
            {"checks", json_of(verified.checks)}};
}

void print_verified(Output& out, const Verified& verified) {
    if (verified.result != CheckLine::Result::pass) print_checks(out, verified.checks);
    const std::vector<std::string> untested = names_of_untested(verified.checks);
    out.line(fmt::format("  verified  {}: {} in {}", result_text(verified.result),
                         counted(verified.checks.size() - untested.size(), "check", "checks"),
                         time_and_rate(verified.seconds, verified.bytes)));
    if (verified.result != CheckLine::Result::pass || untested.empty()) return;
    const std::size_t shown = std::min(untested.size(), untested_shown_max);
    out.line(fmt::format("  not tested, without a fact: {}{}",
                         fmt::join(untested.begin(), untested.begin() + static_cast<std::ptrdiff_t>(shown), "; "),
                         untested.size() > shown ? fmt::format(" and {} more", untested.size() - shown) : ""));
}

void fail_if_not_equal(const Verified& verified) {
    const auto failed = std::ranges::count(verified.checks, CheckLine::Result::fail, &CheckLine::result);
    if (failed == 0) return;
    throw Error{Code::corrupt, "the target is not equal to the snapshot: {}",
                counted(static_cast<std::uint64_t>(failed), "check failed", "checks failed")}
        .unharmed("the snapshot is unharmed")
        .hint(
            "Restore again, into a folder with --overwrite: --in-place takes files that have the size and time of the "
            "snapshot for equal. Something else may have written to the target meanwhile.");
}

void add_hook_options(Options& options, HookOptions& hooks) {
    options.list(hooks.before, "--hook-before", "COMMAND", "run by the shell before; when it fails nothing is written");
    options.list(hooks.after, "--hook-after", "COMMAND", "run by the shell after a restore that went well");
    options.list(hooks.on_failure, "--hook-failure", "COMMAND", "run by the shell when anything failed");
}

void as_step(std::vector<CheckLine>& steps, const std::string& name, const std::function<std::string()>& work) {
    try {
        steps.push_back({name, CheckLine::Result::pass, "done", work()});
    } catch (const Error& error) {
        steps.push_back({name, CheckLine::Result::fail, "done", error.message()});
        throw;
    }
}

void with_hooks(Context& context, const HookOptions& given, engine::HookScene scene, std::vector<CheckLine>& steps,
                const std::function<void()>& work) {
    const SourceConfig* const source = context.config().source(scene.source);
    const auto hooks = [&](std::vector<engine::Hook> engine::Hooks::*which, const std::vector<std::string>& lines) {
        return all_hooks(source == nullptr ? nullptr : &(source->hooks.*which), lines);
    };
    const auto run = [&](const std::string& when, const std::vector<engine::Hook>& list) {
        if (list.empty()) return;
        as_step(steps, "hooks " + when, [&] {
            engine::run_hooks(context.world, when, list, scene);
            return counted(list.size(), "hook", "hooks");
        });
    };
    std::exception_ptr partial;
    try {
        scene.target = without_password(scene.target);
        scene.result = "pending";
        try {
            run("before the restore", hooks(&engine::Hooks::before, given.before));
        } catch (Error& error) {
            error.set_unharmed("nothing was written to the target");
            throw;
        }
        scene.result = "ok";
        try {
            work();
        } catch (const Error& error) {
            // Some items are not as they were; the rest is there, and whoever waits for it goes on.
            if (error.code() != Code::partial) throw;
            scene.result = info_of(error.code()).slug;
            partial = std::current_exception();
        }
        run("after the restore", hooks(&engine::Hooks::after, given.after));
    } catch (...) {
        const std::exception_ptr failure = std::current_exception();
        scene.result = info_of(as_error(failure).code()).slug;
        try {
            run("for failures of the restore", hooks(&engine::Hooks::on_failure, given.on_failure));
        } catch (const Error& error) {
            context.out.warn(error.message());
        }
        std::rethrow_exception(failure);
    }
    if (partial) std::rethrow_exception(partial);
}

void record_run(const RestoredTarget& target, const RestoreRun& run, std::string_view result) {
    repo::RunRecord record;
    record.verb = "restore";
    record.result = result;
    record.seconds = run.seconds;
    record.items = run.report.items;
    record.bytes = run.report.bytes;
    record.tool = fmt::format("holdfast {}", version);
    record.host = current_host_name();
    record.target = without_password(target.request.target);
    std::vector<CheckLine> lines = run.steps;
    if (run.verified) lines.insert(lines.end(), run.verified->checks.begin(), run.verified->checks.end());
    record.lines = engine::note_lines(lines);
    repo::Repository& repository = target.repository;
    World& world = target.context.world;
    try {
        repository.notes().append(target.snapshot.id, repo::NoteKind::run, world.clock.now(),
                                  repo::encode(record, repository.keys(), world.random));
    } catch (const Error& error) {
        world.log.warning(fmt::format("this restore is not recorded in the repository: {}", error.message()));
    }
}

}  // namespace holdfast::app
