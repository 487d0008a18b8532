// tests/sim/collection_store.h: what the objects in the modelled store say to whoever reads them, and how a process
// appends to a log.
//
// Source   doc/format/collection.md sections 1, 2 and 7.1
#pragma once

#include <algorithm>
#include <cstdlib>

#include "collection_state.h"

namespace holdfast::sim {

// Reading an entry commutes with everything (entries never change), so a process reads all that is in its
// way in the same step in which its create-if-absent succeeds; `single_steps` proves that this hides nothing. A stale
// "absent" then has no effect in a log: the create fails, and the entry is read. Where it has one (gc/<n>/verdict, the
// fragments of others, the tail of a log after the sessions waited for), the model takes either answer.
class StoreView {
public:
    explicit StoreView(const Setting& setting) : set_{setting} {}

protected:
    using State = CollectionState;

    static bool ends(Entry entry, Number session) {
        return entry == Entry{Kind::commit, session} || entry == Entry{Kind::close, session} ||
               entry == Entry{Kind::fenced, session} || entry.kind() == Kind::trimmed;
    }

    // The session that is open after the first `slots` entries; 0: none.
    static Number open_session(const Log& log, std::size_t slots) {
        Number open = 0;
        for (std::size_t at = 0; at < slots; ++at) {
            const Entry entry = log.entries[at];
            if (entry.kind() == Kind::open)
                open = entry.about();
            else if (open != 0 && ends(entry, open))
                open = 0;
        }
        return open;
    }

    static std::size_t find(const Log& log, Entry wanted) {
        std::size_t at = 0;
        while (at < log.size && log.entries[at] != wanted) ++at;
        return at;
    }

    static Number highest_stamp(const Log& log, std::size_t slots) {
        Number highest = 0;
        for (std::size_t at = 0; at < slots; ++at)
            if (log.entries[at].kind() == Kind::stamp) highest = std::max(highest, log.entries[at].about());
        return highest;
    }

    std::size_t stamp_slot(const Log& log, Number target) const {
        std::size_t at = 0;
        const Number enough = set_.rule == Break::older_stamp_counts ? Number{1} : target;
        while (at < log.size && !(log.entries[at].kind() == Kind::stamp && log.entries[at].about() >= enough)) ++at;
        return at;
    }

    static bool is_well_formed(const Log& log) {
        Number open = 0;
        for (std::size_t at = 0; at < log.size; ++at) {
            const Entry entry = log.entries[at];
            const Kind kind = entry.kind();
            if (kind == Kind::open && open != 0) return false;
            if (kind == Kind::fragment && entry != Entry{Kind::fragment, open + 1U}) return false;
            const bool is_end = kind == Kind::commit || kind == Kind::close || kind == Kind::fenced;
            if (is_end && entry.about() != open) return false;
            if (kind == Kind::open)
                open = entry.about();
            else if (is_end)
                open = 0;
        }
        return true;
    }

    Mask collect(const State& s, Kind kind) const {
        Mask all = 0;
        for (const Log& log : s.logs)
            for (std::size_t at = 0; at < log.size; ++at)
                if (log.entries[at].kind() == kind) all |= bit(log.entries[at].about());
        return all;
    }

    Mask committed(const State& s) const { return collect(s, Kind::commit); }
    Mask live_snapshots(const State& s) const { return without(committed(s) | 1U, s.forgotten); }
    Mask published(const State& s) const { return collect(s, Kind::fragment) | 1U; }

    bool is_born(const State& s, Number log) const {
        return has(set_.fixed_logs, log) || has(collect(s, Kind::lane), log) || has(collect(s, Kind::enrol), log);
    }

    // The gc number that the entry which opened a log carries: all that its author had learnt by then.
    Number birth_number(const State& s, Number log) const {
        if (has(set_.fixed_logs, log)) return 0;
        const Process& process = *std::find_if(set_.processes.begin(), set_.processes.end(),
                                               [&](const Process& p) { return p.log == log && p.born != Kind::none; });
        const bool lane = process.born == Kind::lane;
        if (set_.rule == (lane ? Break::lane_without_number : Break::enrol_without_number)) return 0;
        const Log& parent = s.logs[process.parent];
        const Number here = highest_stamp(parent, find(parent, Entry{process.born, log}));
        if (set_.rule == Break::lane_forgets_enrolment && lane) return here;
        return std::max(here, birth_number(s, process.parent));
    }

    Mask chunks_in(Mask packs) const {
        Mask chunks = 0;
        for (std::size_t pack = 0; pack < packs_max; ++pack)
            if (has(packs, pack)) chunks |= set_.holds[pack];
        return chunks;
    }

    Number pack_of(Number session) const {
        if (set_.rule == Break::reuses_pack_name) return session < 5 ? 2 : 6;
        return next(session);
    }

    // W2: a pack condemned at or below the number in OPEN counts as absent, unless that very verdict spared it.
    bool is_known(const State& s, std::size_t pack, Number number) const {
        if (set_.rule == Break::ignores_condemned) return true;
        bool known = true;
        for (Number n = 1; n <= number; ++n) {
            if (!has(s.gc[n].named, pack)) continue;
            const bool spared = has(s.verdicts, n) && has(s.gc[n].spared, pack);
            if (spared && set_.rule == Break::old_sparing_counts) return true;
            if (n == number && set_.rule == Break::believes_absent_gc) continue;
            known = known && spared;
        }
        return known;
    }

    // Packs that are deleted or may be at any moment, and those whose fate an earlier collection has yet to decide.
    Mask doomed(const State& s, Number before = collections_max) const {
        Mask gone = 0;
        for (Number n = 1; n <= s.last_gc; ++n) {
            if (has(s.verdicts, n))
                gone |= without(s.gc[n].named, s.gc[n].spared);
            else if (n < before)
                gone |= s.gc[n].named;
        }
        return gone;
    }

    // Appending.

    enum class Put : Number { done, learnt, refused };

    Put append(State& s, std::size_t where, Number& slot, Number session, Entry entry) const {
        Log& log = s.logs[where];
        const Kind kind = entry.kind();
        const bool inside = kind == Kind::fragment || kind == Kind::commit || kind == Kind::close;
        for (; slot < log.size; ++slot) {
            const Entry there = log.entries[slot];
            if (there.kind() == Kind::trimmed && inside) {
                log.entries[slot] = entry;
                return Put::done;
            }
            if (inside && there == Entry{Kind::fenced, session} && set_.rule != Break::ignores_fence &&
                set_.rule != Break::commits_into_another_session)
                return Put::refused;
            if (set_.single_steps) {
                ++slot;
                return Put::learnt;
            }
        }
        if (inside && set_.rule == Break::commits_into_another_session && open_session(log, log.size) == 0)
            return Put::refused;
        add(log, entry);
        slot = log.size;
        return Put::done;
    }

    static void add(Log& log, Entry entry) {
        if (log.size >= slots_max) std::abort();  // the setting is too large for the state
        log.entries[log.size] = entry;
        log.size = next(log.size);
    }

    Setting set_;
};

}  // namespace holdfast::sim
