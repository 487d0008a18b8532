#include <algorithm>

#include "base/error.h"
#include "engine/clock_guard.h"
#include "engine/journals.h"
#include "repo/keys.h"

namespace holdfast::engine {

namespace {

void choose_by_id(const std::vector<repo::Snapshot>& snapshots, const ForgetPlan& plan, ForgetReport& report) {
    for (const repo::SnapshotId& id : plan.ids)
        if (std::ranges::none_of(snapshots, [&](const repo::Snapshot& snapshot) { return snapshot.id == id; }))
            throw Error{Code::not_found, "there is no snapshot {}", id.short_hex()}.unharmed("nothing was forgotten");
    for (const repo::Snapshot& snapshot : snapshots) {
        if (std::ranges::find(plan.ids, snapshot.id) == plan.ids.end()) {
            report.keep.push_back({snapshot, {"not named"}});
        } else if (!snapshot.holds.empty()) {
            throw Error{Code::retention, "snapshot {} is held: {}", snapshot.id.short_hex(),
                        fmt::format("{}", fmt::join(snapshot.holds, ", "))}
                .unharmed("nothing was forgotten")
                .hint("`holdfast release` ends a hold.");
        } else if (snapshot.has_unreadable_notes && !plan.allow_unreadable) {
            throw Error{Code::retention, "a note about snapshot {} cannot be read; it may have been a hold",
                        snapshot.id.short_hex()}
                .unharmed("nothing was forgotten")
                .hint(
                    "`holdfast check` names the note: bring it back from a copy. --allow-unreadable forgets the "
                    "snapshot all the same.");
        } else {
            report.remove.push_back({snapshot, {"named"}});
        }
    }
}

std::vector<policy::KeepPolicies::Decision> decide(const ForgetPlan& plan,
                                                   const std::vector<policy::Candidate>& candidates) {
    if (plan.policies) return plan.policies->decide(candidates);
    std::vector<policy::KeepPolicies::Decision> out;
    for (std::vector<std::string>& reasons : policy::keep_reasons(candidates, *plan.keep)) {
        const bool keep = !reasons.empty();
        out.push_back({keep, keep ? std::move(reasons) : std::vector<std::string>{"no rule keeps it"}});
    }
    return out;
}

void choose_by_rule(const std::vector<repo::Snapshot>& snapshots, const ForgetPlan& plan, ForgetReport& report) {
    std::vector<repo::Snapshot> asked;
    for (const repo::Snapshot& snapshot : snapshots) {
        if (!plan.source || policy::is_source_of(snapshot.source, *plan.source))
            asked.push_back(snapshot);
        else
            report.keep.push_back({snapshot, {"another source"}});
    }
    std::vector<policy::Candidate> candidates;
    for (const repo::Snapshot& snapshot : asked) candidates.push_back(candidate_of(snapshot));
    auto decisions = decide(plan, candidates);
    for (std::size_t i = 0; i < asked.size(); ++i)
        (decisions[i].keep ? report.keep : report.remove).push_back({asked[i], std::move(decisions[i].reasons)});
}

// What a window begins with stays as long as the window does.
void keep_bases(const repo::Repository& repository, const ForgetPlan& plan, ForgetReport& report) {
    if (report.remove.empty()) return;
    const std::set<repo::SnapshotId> bases = bases_of_windows(repository, plan.windows, plan.trust_clock);
    std::erase_if(report.remove, [&](const Verdict& verdict) {
        const repo::Snapshot& snapshot = verdict.snapshot;
        if (!bases.contains(snapshot.id)) return false;
        if (!plan.ids.empty())
            throw Error{Code::retention, "snapshot {} is the base of a window of {}", snapshot.id.short_hex(),
                        snapshot.source}
                .unharmed("nothing was forgotten")
                .hint(
                    "`holdfast windows` shows what could no longer be restored; a shorter --journal-window lets it "
                    "go.");
        report.keep.push_back({snapshot, {"base of a window"}});
        return true;
    });
}

}  // namespace

// A writer's word for the time of a capture counts for nothing but the order of imports, and there for no later than it came.
policy::Candidate candidate_of(const repo::Snapshot& snapshot) {
    const bool is_import = snapshot.tags.contains(std::string(policy::imported_tag));
    return {.group = snapshot.source + "\n" + snapshot.host,
            .received = is_import ? std::min(snapshot.time, snapshot.received) : snapshot.received,
            .tags = snapshot.tags,
            .held = !snapshot.holds.empty() || snapshot.has_unreadable_notes,
            .good = snapshot.is_good(),
            .flagged = !snapshot.flags.empty(),
            .source = snapshot.source};
}

ForgetReport forget(repo::Repository& repository, const ForgetPlan& plan) {
    repository.keys().require(repo::Right::collect, "forget snapshots");
    repository.require_writable();
    repository.refresh(repo::NotesFrom::names);  // a hold that a listing missed counts, too
    if (plan.dry_run)
        repository.settle_received();
    else
        repository.note_received();
    const std::vector<repo::Snapshot>& snapshots = repository.snapshots();
    ForgetReport report;
    if (!plan.ids.empty()) {
        choose_by_id(snapshots, plan, report);
    } else if (plan.policies || (plan.keep && !plan.keep->empty())) {
        check_clock(repository, plan.trust_clock);
        choose_by_rule(snapshots, plan, report);
    } else {
        throw Error{Code::usage, "neither snapshots nor rules say what to forget"}.unharmed("nothing was forgotten");
    }

    keep_bases(repository, plan, report);
    if (!plan.allow_last) {
        for (const Verdict& gone : report.remove) {
            const std::string& source = gone.snapshot.source;
            const bool another =
                std::ranges::any_of(report.keep, [&](const Verdict& kept) { return kept.snapshot.source == source; });
            if (!another)
                throw Error{Code::retention, "this would forget the last snapshot of {}", source}
                    .unharmed("nothing was forgotten")
                    .hint("--allow-last forgets it all the same.");
        }
    }
    if (plan.dry_run || report.remove.empty()) return report;
    std::vector<repo::SnapshotId> ids;
    for (const Verdict& each : report.remove) ids.push_back(each.snapshot.id);
    repository.forget(ids, plan.ids.empty() ? "retention" : "by hand");
    return report;
}

}  // namespace holdfast::engine
