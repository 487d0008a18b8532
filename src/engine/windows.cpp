#include "engine/windows.h"

#include <algorithm>

namespace holdfast::engine {

namespace {

using repo::Journal;
using repo::Segment;
using repo::Snapshot;

bool holds(const Segment& segment, const Position& position) {
    if (position == segment.first.position || position == segment.last.position) return true;
    if (position.line == segment.last.position.line)
        return position.at <= segment.last.position.at &&
               (position.line != segment.first.position.line || position.at >= segment.first.position.at);
    return position.line == segment.first.position.line && position.at >= segment.first.position.at;
}

std::optional<std::size_t> find_holder(const Journal& journal, const Journal::Run& run, const Position& position) {
    for (std::size_t i = run.begin; i < run.end; ++i)
        if (holds(journal.segments()[i], position)) return i;
    return std::nullopt;
}

std::size_t begin_of_record(const Journal& journal, const Journal::Run& run, std::size_t at) {
    const auto& all = journal.segments();
    while (at > run.begin && all[at - 1].open && all[at - 1].lane == all[at].lane) --at;
    return at;
}

struct Base {
    const Snapshot* snapshot;
    std::size_t begin;
    Nanoseconds time;  // of the journal, whose time never goes back, though a new primary's clock may
};

// By time.
std::vector<Base> bases_of(const Journal& journal, const Journal::Run& run, const std::vector<Snapshot>& snapshots) {
    std::vector<Base> out;
    for (const Snapshot& snapshot : snapshots) {
        if (snapshot.source != journal.source() || !snapshot.moment) continue;
        if (const auto at = find_holder(journal, run, snapshot.moment->position))
            out.push_back({&snapshot, begin_of_record(journal, run, *at),
                           std::max(snapshot.moment->time, journal.segments()[*at].first.time)});
    }
    std::ranges::sort(out, {}, &Base::time);
    return out;
}

}  // namespace

std::optional<std::size_t> find_position(const Journal& journal, const Journal::Run& run, const Position& position) {
    const auto at = find_holder(journal, run, position);
    if (!at) return std::nullopt;
    return begin_of_record(journal, run, *at);
}

std::vector<Window> windows_of(const Journal& journal, const std::vector<Snapshot>& snapshots) {
    std::vector<Window> out;
    const std::vector<Journal::Run> runs = journal.runs();
    for (const Journal::Run& run : runs) {
        const std::vector<Base> bases = bases_of(journal, run, snapshots);
        if (bases.empty()) continue;
        Window& window = out.emplace_back();
        window.base = bases.front().snapshot->id;
        window.bases = bases.size();
        window.from = {bases.front().snapshot->moment->position, bases.front().time};
        window.to = run.to;
        window.to.time = std::max(run.to.time, window.from.time);
        window.why = run.why;
        window.newest = &run == &runs.back();
        window.records = run.records;
        window.stored = run.stored;
        for (std::size_t i = run.begin; i < run.end; ++i)
            for (const Pause& pause : journal.segments()[i].pauses)
                if (pause.to > window.from.time)
                    window.pauses.push_back({std::max(pause.from, window.from.time), pause.to});
    }
    return out;
}

std::optional<Route> find_route(const Journal& journal, const std::vector<Snapshot>& snapshots, Nanoseconds instant) {
    std::optional<Route> out;
    const std::vector<Journal::Run> runs = journal.runs();
    const Journal::Run* taken = nullptr;
    for (const Journal::Run& run : runs) {
        for (const Base& base : bases_of(journal, run, snapshots)) {
            if (base.time > instant) continue;
            out = Route{base.snapshot, base.begin, run.end, run.to, run.to.time >= instant};
            out->reaches.time = std::max(run.to.time, base.time);
            taken = &run;
        }
    }
    if (!out || out->whole) return out;
    for (const Snapshot& snapshot : snapshots) {
        const bool later =
            snapshot.source == journal.source() && snapshot.time <= instant && snapshot.time > out->reaches.time;
        const bool in_this_run = snapshot.moment && find_position(journal, *taken, snapshot.moment->position);
        if (later && !in_this_run) return std::nullopt;
    }
    return out;
}

Needed needed(const Journal& journal, const std::vector<Snapshot>& snapshots, Nanoseconds window, Nanoseconds now) {
    Needed out;
    out.segments.assign(journal.segments().size(), false);
    const Nanoseconds oldest = window == 0 ? 0 : now - window;
    const std::vector<Journal::Run> runs = journal.runs();
    for (const Journal::Run& run : runs) {
        const bool newest = &run == &runs.back();
        if (run.to.time < oldest && !newest) continue;
        const std::vector<Base> bases = bases_of(journal, run, snapshots);
        std::size_t begin = newest ? run.begin : run.end;  // a base may be on its way
        if (!bases.empty()) {
            const Base* first = &bases.front();
            for (const Base& base : bases)
                if (base.time <= oldest) first = &base;
            begin = first->begin;
            out.bases.insert(first->snapshot->id);
        }
        for (std::size_t i = begin; i < run.end; ++i) out.segments[i] = true;
    }
    return out;
}

std::vector<std::string> sources_with_journals(const repo::Repository& repository) {
    const std::vector<std::uint64_t> tags = repo::list_journals(repository);
    std::set<std::string> names;
    for (const Snapshot& snapshot : repository.snapshots())
        if (std::ranges::binary_search(tags, repo::source_tag(repository.keys(), snapshot.source)))
            names.insert(snapshot.source);
    return {names.begin(), names.end()};
}

}  // namespace holdfast::engine
