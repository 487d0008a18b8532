#include "base/error.h"
#include "base/text.h"
#include "engine/journals.h"
#include "repo/checkpoint.h"
#include "repo/collector.h"

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

std::uint64_t unlock(repo::Repository& repository, const std::string& signer) {
    repository.require_writable();
    repository.refresh();
    std::vector<repo::SessionName> open;
    bool known = false;
    for (const auto& [name, lane] : repository.log().lanes()) {
        if (signer.empty() || !name.signer.hex().starts_with(signer)) continue;
        known = true;
        if (lane.open) open.push_back({name, lane.open_slot});
    }
    if (!known)
        throw Error{Code::not_found, "no key slot begins with \"{}\"", signer}.hint("`holdfast key list` shows them.");
    for (const repo::SessionName& session : open) repository.log().fence(session);
    return open.size();
}

}  // namespace holdfast::engine
