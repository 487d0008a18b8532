#include "engine/journals.h"

#include <algorithm>

#include "base/error.h"
#include "engine/clock_guard.h"
#include "engine/windows.h"
#include "repo/segment_pack.h"

namespace holdfast::engine {

namespace {

Nanoseconds window_of(const JournalWindows& windows, const std::string& source) {
    for (const std::string& name : {source, source.substr(0, source.rfind('@'))})
        if (const auto at = windows.find(name); at != windows.end()) return at->second;
    return 0;
}

// Nothing: the clock may say what is old, or no window asks it.
std::optional<Error> clock_refusal(const repo::Repository& repository, const std::vector<std::string>& sources,
                                   const JournalWindows& windows, bool trust) {
    if (std::ranges::all_of(sources, [&](const std::string& source) { return window_of(windows, source) == 0; }))
        return std::nullopt;
    try {
        check_clock(repository, trust);
    } catch (const Error& error) {
        if (error.code() != Code::retention) throw;
        return error;
    }
    return std::nullopt;
}

}  // namespace

std::set<repo::SnapshotId> bases_of_windows(const repo::Repository& repository, const JournalWindows& windows,
                                            bool trust_clock) {
    std::set<repo::SnapshotId> out;
    const std::vector<std::string> sources = sources_with_journals(repository);
    if (auto refusal = clock_refusal(repository, sources, windows, trust_clock)) throw std::move(*refusal);
    for (const std::string& source : sources) {
        repo::Journal journal(repository, source);
        journal.read();
        out.merge(
            needed(journal, repository.snapshots(), window_of(windows, source), repository.world().clock.now()).bases);
    }
    return out;
}

void keep_journals(const repo::Repository& repository, const PrunePlan& plan, PruneReport& report) {
    const auto leave = [&](const std::string& source, const std::string& why) {
        repository.world().log.warning(fmt::format("the journal of {} is left as it is: {}", source, why));
        report.journals_left.push_back({source, why});
    };
    const std::vector<std::string> sources = sources_with_journals(repository);
    const std::optional<Error> clock = clock_refusal(repository, sources, plan.windows, plan.trust_clock);
    for (const std::string& source : sources) {
        const Note note{"keeping the journal of {}", source};
        const Nanoseconds window = window_of(plan.windows, source);
        if (window != 0 && clock) {
            leave(source, clock->message());
            continue;
        }
        repo::Journal journal(repository, source);
        journal.read();
        if (!journal.damage().empty()) {
            const repo::Journal::Damage& first = journal.damage().front();
            leave(source, fmt::format("{}: {}", first.object, first.why.message()));
            continue;
        }
        const Needed kept = needed(journal, repository.snapshots(), window, repository.world().clock.now());
        if (plan.dry_run) {
            for (std::size_t i = 0; i < kept.segments.size(); ++i)
                if (!kept.segments[i]) report.journal_bytes_freed += journal.segments()[i].stored();
            continue;
        }
        report.journal_bytes_freed += repo::expire_journal(repository, journal, kept.segments);
        repo::Journal rest(repository, source);
        rest.read();
        report.segments_packed += repo::compact_journal(repository, rest, {}).segments;
    }
}

}  // namespace holdfast::engine
