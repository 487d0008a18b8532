#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "engine/journals.h"
#include "repo/checkpoint.h"
#include "repo/collector.h"
#include "repo/names.h"

namespace holdfast::engine {

namespace {

std::string describe(repo::Repository& repository, const repo::SessionName& session) {
    const repo::Lane& lane = repository.log().lanes().at(session.lane);
    const repo::Credential* who = repository.keys().find(session.lane.signer);
    return fmt::format("key {} ({}), lane {}, open since {}", session.lane.signer.hex().substr(0, 12),
                       who == nullptr ? "unknown" : who->label, session.lane.lane, rfc3339_seconds(lane.open_time));
}

void collect(repo::Repository& repository, const PrunePlan& plan, PruneReport& report) {
    repo::Collector collector(repository);
    const auto add = [&](const repo::Collector::Settled& settled) {
        report.packs_deleted += settled.packs_deleted;
        report.bytes_freed += settled.bytes_freed;
        report.packs_pending += settled.packs_pending;
        for (const repo::SessionName& session : settled.waiting)
            report.waiting_for.push_back(describe(repository, session));
        return settled.waiting.empty();
    };
    repository.refresh();
    repository.read_collections();
    collector.require_whole_logs();  // or bases are not seen, and what they need of journals goes
    keep_journals(repository, plan, report);
    // What an earlier run left comes first: collections are settled one after another.
    if (!plan.dry_run && !add(collector.settle())) return;

    repo::Survey survey = collector.survey(plan.unused_max);
    if (!plan.dry_run) collector.repack(survey);
    report.packs_kept = survey.kept.size();
    report.packs_rewritten = survey.rewritten.size();
    if (plan.dry_run) {
        report.packs_deleted = survey.garbage.size() + survey.rewritten.size();
        for (const repo::PackUse& use : survey.garbage) report.bytes_freed += use.bytes;
        for (const repo::PackUse& use : survey.rewritten)
            report.bytes_freed += use.bytes - std::min(use.bytes, use.bytes_live);
        return;
    }
    if (survey.garbage.empty() && survey.rewritten.empty()) return;
    const std::uint64_t freed_before = report.bytes_freed;
    if (!collector.condemn(survey))
        repository.world().log.warning("another prune began at the same time; its collection is settled instead");
    add(collector.settle());
    for (const repo::PackUse& use : survey.rewritten)  // their kept parts were written anew
        if (report.bytes_freed > freed_before)
            report.bytes_freed -= std::min(report.bytes_freed - freed_before, use.bytes_live);
}

}  // namespace

PruneReport prune(repo::Repository& repository, const PrunePlan& plan, Progress&) {
    repository.keys().require(repo::Right::collect, "prune");
    repository.require_writable();
    PruneReport report;
    collect(repository, plan, report);
    if (!plan.dry_run) repo::keep_checkpoint(repository, plan.checkpoint_entries);
    return report;
}

UnlockReport unlock(repo::Repository& repository, const UnlockPlan& plan) {
    repository.require_writable();
    repository.refresh();
    const auto is_meant = [&](const repo::SignerId& signer) {
        return !plan.signer.empty() && signer.hex().starts_with(plan.signer);
    };
    std::vector<repo::Lane> lanes;
    for (const auto& [name, lane] : repository.log().lanes())
        if (is_meant(name.signer)) lanes.push_back(lane);
    if (lanes.empty())
        throw Error{Code::not_found, "no key slot begins with \"{}\"", plan.signer}.hint(
            "`holdfast key list` shows them.");
    const repo::SignerId& own = repository.keys().own_id();
    if (std::ranges::any_of(lanes, [&](const repo::Lane& lane) { return lane.name.signer != own; }))
        repository.keys().require(repo::Right::collect, "end what others have open");
    UnlockReport report;
    for (const repo::Lane& lane : lanes) {
        if (!lane.broken.empty()) {
            report.voided.push_back(repo::names::log_entry(lane.name.signer, lane.name.lane, lane.next));
            if (!plan.dry_run) repository.log().void_rest(lane.name);
        } else if (lane.open) {
            ++report.fenced;
            if (!plan.dry_run) repository.log().fence({lane.name, lane.open_slot});
        }
    }
    std::vector<repo::SnapshotId> no_records;
    for (const auto& [id, each] : repository.without_record())
        if (is_meant(each.signer)) no_records.push_back(id);
    for (const repo::SnapshotId& id : no_records) report.voided.push_back("snapshot " + id.hex());
    if (!plan.dry_run && !no_records.empty()) repository.forget(no_records, "no record of a snapshot");
    return report;
}

}  // namespace holdfast::engine
