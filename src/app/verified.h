// app/verified.h: what comes before and after a restore: hooks, the comparison with the snapshot, the source's checks,
// the record of the run.
//
// Errors   target_failed from hooks; corrupt when the target is not equal
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/context.h"
#include "app/json.h"
#include "engine/hooks.h"
#include "engine/restore.h"
#include "source/source.h"

namespace holdfast::app {

std::string result_text(CheckLine::Result result);  // "PASS", "FAIL", "NOT TESTED"
Json json_of(const std::vector<CheckLine>& checks);
// For people: what did not pass, and of what passed the first lines.
void print_checks(Output& out, const std::vector<CheckLine>& checks);

// A restore that was made, and where.
struct RestoredTarget {
    Context& context;
    repo::Repository& repository;
    const repo::Snapshot& snapshot;
    const SourceType& type;
    const engine::RestorePlan& plan;
    const RebuildRequest& request;
};

struct Verified {
    CheckLine::Result result = CheckLine::Result::not_tested;
    double seconds = 0;
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;
    std::vector<CheckLine> checks;
};
// The target against the snapshot, and the checks that the configuration has for its source.
Verified verify_restored(const RestoredTarget& target, const engine::RestoreReport& report);
Json json_of(const Verified& verified);
void print_verified(Output& out, const Verified& verified);
void fail_if_not_equal(const Verified& verified);

struct HookOptions {
    std::vector<std::string> before, after, on_failure;  // from the command line, each a line for the shell
};
void add_hook_options(Options& options, HookOptions& hooks);

// What one command did, from the first hook to the last.
struct RestoreRun {
    engine::RestoreReport report;
    std::optional<Verified> verified;
    std::vector<CheckLine> steps;  // around the restore: hooks, the swap
    double seconds = 0;
    bool has_begun = false;  // a target that is refused is no run
};

// Runs `work` between the hooks of the command line and of the source's configuration. Those for failures run when
// anything fails, also another hook.
void with_hooks(Context& context, const HookOptions& given, engine::HookScene scene, std::vector<CheckLine>& steps,
                const std::function<void()>& work);
// What it says is done; a failure stands in the steps, too.
void as_step(std::vector<CheckLine>& steps, const std::string& name, const std::function<std::string()>& work);

// Into the notes of the snapshot, as far as the repository can be written.
void record_run(const RestoredTarget& target, const RestoreRun& run, std::string_view result);

}  // namespace holdfast::app
