#include <algorithm>

#include "base/error.h"
#include "engine/journals.h"
#include "repo/keys.h"

namespace holdfast::engine {

namespace {

bool is_source(const repo::Snapshot& snapshot, const std::string& name) {
    return snapshot.source == name || snapshot.source.substr(0, snapshot.source.rfind('@')) == name;
}

std::string group_of(const repo::Snapshot& snapshot) { return snapshot.source + "\n" + snapshot.host; }

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
                .unharmed("nothing was forgotten");
        } else {
            report.remove.push_back(snapshot);
        }
    }
}

void choose_by_rule(const std::vector<repo::Snapshot>& snapshots, const ForgetPlan& plan, ForgetReport& report) {
    std::vector<repo::Snapshot> asked;
    for (const repo::Snapshot& snapshot : snapshots) {
        if (!plan.source || is_source(snapshot, *plan.source))
            asked.push_back(snapshot);
        else
            report.keep.push_back({snapshot, {"another source"}});
    }
    std::vector<policy::Candidate> candidates;
    for (const repo::Snapshot& snapshot : asked)
        candidates.push_back({.group = group_of(snapshot),
                              .received = snapshot.received,
                              .tags = snapshot.tags,
                              .held = !snapshot.holds.empty(),
                              .good = snapshot.is_good(),
                              .flagged = !snapshot.flags.empty()});
    const auto reasons = policy::keep_reasons(candidates, *plan.keep);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        if (reasons[i].empty())
            report.remove.push_back(asked[i]);
        else
            report.keep.push_back({asked[i], reasons[i]});
    }
}

// What a window begins with stays as long as the window does.
void keep_bases(const repo::Repository& repository, const ForgetPlan& plan, ForgetReport& report) {
    if (report.remove.empty()) return;
    const std::set<repo::SnapshotId> bases = bases_of_windows(repository, plan.windows);
    std::erase_if(report.remove, [&](const repo::Snapshot& snapshot) {
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

ForgetReport forget(repo::Repository& repository, const ForgetPlan& plan) {
    repository.keys().require(repo::Right::collect, "forget snapshots");
    repository.refresh();
    if (!plan.dry_run) repository.note_received();
    const std::vector<repo::Snapshot>& snapshots = repository.snapshots();
    ForgetReport report;
    if (!plan.ids.empty())
        choose_by_id(snapshots, plan, report);
    else if (plan.keep && !plan.keep->empty())
        choose_by_rule(snapshots, plan, report);
    else
        throw Error{Code::usage, "neither snapshots nor rules say what to forget"}.unharmed("nothing was forgotten");

    keep_bases(repository, plan, report);
    if (!plan.allow_last) {
        for (const repo::Snapshot& gone : report.remove) {
            const bool another = std::ranges::any_of(
                report.keep, [&](const Verdict& kept) { return kept.snapshot.source == gone.source; });
            if (!another)
                throw Error{Code::retention, "this would forget the last snapshot of {}", gone.source}
                    .unharmed("nothing was forgotten")
                    .hint("--allow-last forgets it all the same.");
        }
    }
    if (plan.dry_run || report.remove.empty()) return report;
    std::vector<repo::SnapshotId> ids;
    for (const repo::Snapshot& snapshot : report.remove) ids.push_back(snapshot.id);
    repository.forget(ids, plan.ids.empty() ? "retention" : "by hand");
    return report;
}

}  // namespace holdfast::engine
