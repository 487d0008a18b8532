// tests/sim/collection_collector.h: what a process that collects may do next: G1 to G4, and repacking before them.
#pragma once

#include <bit>

#include "collection_store.h"

namespace holdfast::sim {

class CollectorModel : StoreView {
public:
    using StoreView::StoreView;

    template <class Visit>
    void steps(const State& s, std::size_t i, Visit&& visit) const {
        const Collector& was = s.collectors[i];
        if (s.crashes != 0 && was.at != At::rest) {
            State after = s;
            --after.crashes;
            const bool copying = was.at == At::copy_put || was.at == At::copy_publish || was.at == At::copy_close;
            if (copying) ++after.collectors[i].copies;  // a pack's name is never used again
            end_round(after, i);
            visit(after, by(i, "dies"));
        }
        switch (was.at) {
            case At::rest:
                if (was.rounds != 0) begin_round(s, i, visit);
                break;
            case At::copy_open:
            case At::copy_put:
            case At::copy_publish:
            case At::copy_close:
                copy_steps(s, i, visit);
                break;
            case At::mark:
                mark_steps(s, i, visit);
                break;
            case At::name:
                name(s, i, visit);
                break;
            case At::stamp:
                stamp(s, i, visit);
                break;
            case At::wait:
                wait(s, i, visit);
                break;
            case At::decide:
                decide(s, i, visit);
                break;
            default:
                sweep(s, i, visit);
                break;
        }
    }

    // Orphans, and packs whose reached chunks all have another place. Collector 1 prefers to drop old packs,
    // collector 2 new ones, so that each would drop the copy that the other relies on.
    Mask mark(const State& s, std::size_t i) const {
        Mask places = published(s);
        if (set_.rule == Break::believes_own_copy) places |= bit(s.collectors[i].number);
        const Mask open = without(s.packs, doomed(s));
        Mask named = 0;
        for (std::size_t turn = 0; turn < packs_max; ++turn) {
            const std::size_t pack = i == 0 ? turn : packs_max - 1 - turn;
            if (!has(open, pack)) continue;
            const Mask others = chunks_in(without(open & places, named | bit(pack)));
            const auto needed = static_cast<Mask>(set_.holds[pack] & reached(s));
            if (!has(places, pack) || without(needed, others) == 0) named |= bit(pack);
        }
        return named;
    }

private:
    static Label by(std::size_t i, const char* text, std::size_t about = 0) {
        return Label{static_cast<Number>(writers_max + i), text, static_cast<Number>(about)};
    }

    static void end_round(State& s, std::size_t i) {
        Collector& c = s.collectors[i];
        c = Collector{At::rest, c.rounds, 0, 0, 0, c.copies, 0, 0, 0, 0, 0};
    }

    // Takes up what another one left before it begins anew.
    template <class Visit>
    void begin_round(const State& s, std::size_t i, Visit& visit) const {
        State after = s;
        Collector& c = after.collectors[i];
        --c.rounds;
        for (Number n = 1; n <= s.last_gc; ++n) {
            c.target = n;
            if (!has(s.verdicts, n)) {
                begin_stamping(after, i);
                visit(after, by(i, "takes up gc/#", n));
            } else if (set_.rule != Break::leaves_sweep_undone && to_sweep(after, i) != 0) {
                c.at = At::sweep;
                visit(after, by(i, "takes up the deletions of gc/#", n));
            }
        }
        if (!may_begin(s) || s.last_gc + 1U == collections_max) return;
        c.target = c.logs = 0;
        const bool copies = i == 0 && set_.copier_log != 0 && c.copies < 2;
        c.at = copies ? At::copy_open : At::mark;
        if (copies)
            visit(after, by(i, "begins to copy"));
        else
            mark_steps(after, i, visit);
    }

    // A collection begins when the one before has its verdict.
    bool may_begin(const State& s) const { return set_.overlap || s.last_gc == 0 || has(s.verdicts, s.last_gc); }

    // Repacking is a session in the collector's own log, so that others wait for it and read its FRAGMENT.
    template <class Visit>
    void copy_steps(const State& s, std::size_t i, Visit& visit) const {
        State after = s;
        Collector& c = after.collectors[i];
        const auto session = static_cast<Number>(5 + c.copies);
        const Number copy = pack_of(session);
        const bool in_session = set_.rule != Break::copies_without_session;
        if (c.at == At::copy_open) {
            open_copying(s, i, session, visit);
        } else if (c.at == At::copy_put) {
            after.packs |= bit(copy);
            c.at = At::copy_publish;
            visit(after, by(i, "copies the live chunks of pack 0 to pack #", copy));
        } else if (c.at == At::copy_publish) {
            const Put put = append(after, set_.copier_log, c.slot, session, Entry{Kind::fragment, copy});
            if (put == Put::done && in_session)
                c.at = At::copy_close;
            else if (put != Put::learnt)
                finish_copy(c);
            if (put == Put::refused && set_.rule == Break::believes_own_copy)
                c.number = copy;
            else if (put == Put::refused)
                end_round(after, i);
            visit(after, by(i, put == Put::done ? "publishes FRAGMENT of pack #" : "cannot publish pack #", copy));
        } else {
            const Put put = append(after, set_.copier_log, c.slot, session, Entry{Kind::close, session});
            if (put != Put::learnt) finish_copy(c);
            visit(after, by(i, put == Put::done ? "CLOSEs its copying" : "cannot CLOSE its copying"));
        }
    }

    // W1 and W2 hold for a copier too. It has read what it copies when this step ends; the PUT may come much later.
    template <class Visit>
    void open_copying(const State& s, std::size_t i, Number session, Visit& visit) const {
        State after = s;
        Collector& c = after.collectors[i];
        Log& log = after.logs[set_.copier_log];
        const bool in_session = set_.rule != Break::copies_without_session;
        if (const Number open = open_session(log, log.size); open != 0) {
            add(log, Entry{Kind::fenced, open});
            visit(after, by(i, "fences its own dead session #", open));
            return;
        }
        if (in_session && append(after, set_.copier_log, c.slot, session, Entry{Kind::open, session}) == Put::learnt) {
            visit(after, by(i, "reads an entry"));
            return;
        }
        const Number number = highest_stamp(log, log.size);
        const Mask wanted_chunks = reached(s) & set_.holds[pack_of(session)];
        const bool wanted = has(s.packs, 0) && is_known(s, 0, number) && wanted_chunks != 0;
        if (wanted)
            c.at = At::copy_put;
        else if (in_session)
            c.at = At::copy_close;
        else
            finish_copy(c);
        const char* text = wanted ? "OPENs and reads pack 0, gc number #" : "OPENs, nothing to copy, gc number #";
        visit(after, by(i, text, number));
    }

    static void finish_copy(Collector& c) {
        ++c.copies;
        c.at = At::mark;
        c.slot = c.number = 0;
    }

    Mask needs_of(Mask snapshots) const {
        Mask chunks = 0;
        for (std::size_t snapshot = 0; snapshot < set_.needs.size(); ++snapshot)
            if (has(snapshots, snapshot)) chunks |= set_.needs[snapshot];
        return chunks;
    }

    Mask reached(const State& s) const { return needs_of(live_snapshots(s)); }

    template <class Visit>
    void mark_steps(const State& s, std::size_t i, Visit& visit) const {
        if (!may_begin(s)) {
            State after = s;
            ++after.collectors[i].rounds;
            end_round(after, i);
            visit(after, by(i, "finds gc/# pending", s.last_gc));
            return;
        }
        const Mask all = set_.any_mark ? without(s.packs, doomed(s)) : mark(s, i);
        for (Mask named = all; named != 0; named = set_.any_mark ? static_cast<Mask>((named - 1U) & all) : Mask{0}) {
            State after = s;
            Collector& c = after.collectors[i];
            c.named = named;
            c.target = next(s.last_gc);
            c.at = At::name;
            if (set_.rule == Break::names_after_stamping) begin_stamping(after, i);
            visit(after, by(i, "marks packs @", named));
        }
        if (all != 0) return;
        State after = s;
        end_round(after, i);
        visit(after, by(i, "finds no garbage"));
    }

    // G1. Who finds the number taken marks again, for the set in its way counts now.
    template <class Visit>
    void name(const State& s, std::size_t i, Visit& visit) const {
        State after = s;
        Collector& c = after.collectors[i];
        if (s.last_gc + 1 != c.target) {
            if (set_.keeps_mark && may_begin(s) && s.last_gc + 1U < collections_max) {
                c.target = next(s.last_gc);
            } else {
                ++c.rounds;
                end_round(after, i);
            }
            visit(after, by(i, "finds its gc number taken by gc/#", s.last_gc));
            return;
        }
        after.last_gc = c.target;
        if (set_.rule != Break::never_names) after.gc[c.target].named = c.named;
        if (set_.rule == Break::deletes_after_mark) {
            after.verdicts |= bit(c.target);
            c.at = At::sweep;
        } else if (set_.rule == Break::names_after_stamping) {
            begin_waiting(after, i, c.logs);
        } else {
            begin_stamping(after, i);
        }
        if (set_.rule != Break::never_names && set_.rule != Break::obeys_own_mark) c.named = 0;
        visit(after, by(i, "creates gc/#", c.target));
    }

    void begin_stamping(State& s, std::size_t i) const {
        Collector& c = s.collectors[i];
        c.at = At::stamp;
        c.log = c.slot = 0;
        c.logs = set_.fixed_logs;
        if (set_.rule == Break::lists_logs_before_stamping || set_.rule == Break::never_stamps)
            c.logs |= static_cast<Mask>(collect(s, Kind::lane) | collect(s, Kind::enrol));
        if (set_.rule == Break::never_stamps) begin_waiting(s, i, c.logs);
    }

    void begin_waiting(State& s, std::size_t i, Mask logs) const {
        Collector& c = s.collectors[i];
        c.at = At::wait;
        c.log = c.slot = 0;
        c.logs = logs;
        c.placed = c.live = 0;
    }

    // G2. Logs stand in the order in which they were opened, so a parent is stamped before its children are known.
    template <class Visit>
    void stamp(const State& s, std::size_t i, Visit& visit) const {
        State after = s;
        Collector& c = after.collectors[i];
        Log& log = after.logs[c.log];
        const Number where = c.log;
        const bool idle = set_.rule == Break::stamps_busy_logs_only && open_session(log, log.size) == 0;
        const bool stamped = stamp_slot(log, c.target) < log.size;
        if (!stamped && !idle && append(after, c.log, c.slot, 0, Entry{Kind::stamp, c.target}) == Put::learnt) {
            visit(after, by(i, "reads an entry of log #", where));
            return;
        }
        const std::size_t end = std::min<std::size_t>(log.size, stamp_slot(log, c.target));
        for (std::size_t at = 0; at < end && set_.rule != Break::lists_logs_before_stamping; ++at)
            if (log.entries[at].kind() == Kind::lane || log.entries[at].kind() == Kind::enrol)
                c.logs |= bit(log.entries[at].about());
        c.slot = 0;
        if (!to_next_log(c)) {
            if (set_.rule == Break::names_after_stamping) {
                if (s.last_gc + 1 == c.target)
                    c.at = At::name;
                else if (s.last_gc >= c.target)
                    begin_waiting(after, i, c.logs);
            } else {
                begin_waiting(after, i, c.logs);
            }
        }
        visit(after, by(i, stamped || idle ? "need not stamp log #" : "STAMPs log #", where));
    }

    static bool to_next_log(Collector& c) {
        do ++c.log;
        while (c.log < logs_max && !has(c.logs, c.log));
        return c.log < logs_max;
    }

    // G3 and the reading of G4: log after log, each up to the end of the session that was open at its stamp, or beyond.
    template <class Visit>
    void wait(const State& s, std::size_t i, Visit& visit) const {
        const Collector& was = s.collectors[i];
        const Log& log = s.logs[was.log];
        const std::size_t stamped = stamp_slot(log, was.target);
        std::size_t read = std::min<std::size_t>(stamped + 1, log.size);
        const Number open = open_session(log, stamped);
        if (open != 0 && set_.rule != Break::waits_not && !has(s.fences, open)) {
            std::size_t end = stamped;
            while (end < log.size && !ends(log.entries[end], open)) ++end;
            if (end == log.size) {
                if (set_.rule != Break::never_fences) fence(s, i, open, visit);
                return;
            }
            read = std::max(read, end + 1);
        }
        for (; read <= log.size; ++read) {
            if (s.forgotten != 0) finish_log(s, i, read, s.forgotten, visit);
            finish_log(s, i, read, 0, visit);  // a read of "not forgotten" may be stale
        }
    }

    template <class Visit>
    void finish_log(const State& s, std::size_t i, std::size_t slots, Mask forgotten, Visit& visit) const {
        State after = s;
        Collector& c = after.collectors[i];
        const Number where = c.log;
        read_log(s.logs[where], c, slots, forgotten);
        if (!to_next_log(c)) {
            c.at = At::decide;
            c.logs = c.log = 0;
        }
        visit(after, by(i, "has waited for log #", where));
    }

    template <class Visit>
    void fence(const State& s, std::size_t i, Number session, Visit& visit) const {
        State after = s;
        if (set_.rule == Break::fence_beside_log)
            after.fences |= bit(session);
        else
            add(after.logs[s.collectors[i].log], Entry{Kind::fenced, session});
        visit(after, by(i, "FENCEs session #", session));
    }

    // What is older than all logs counts to log 0: snapshot 0 and the fragment of pack 0.
    void read_log(const Log& log, Collector& c, std::size_t slots, Mask forgotten) const {
        if (c.log == 0) c.placed |= 1U;
        if (c.log == 0 && !has(forgotten, 0)) c.live |= 1U;
        for (std::size_t at = 0; at < slots; ++at) {
            const Entry entry = log.entries[at];
            const Number about = entry.about();
            if (entry.kind() == Kind::commit && !has(forgotten, about)) c.live |= bit(about);
            if (entry.kind() != Kind::fragment) continue;
            const bool fenced = find(log, Entry{Kind::fenced, open_session(log, at)}) < log.size;
            if (!fenced || set_.rule != Break::skips_fenced_fragments) c.placed |= bit(about);
        }
    }

    // G4. A reached chunk needs a place that stays; where it has none, every condemned pack that holds it is spared.
    Mask spared_by(const State& s, const Collector& c, Mask named) const {
        const Mask gone = set_.rule == Break::counts_doomed_copies ? Mask{0} : doomed(s, c.target);
        const Mask stay = chunks_in(without(c.placed, named | gone));
        Mask homeless = needs_of(c.live);
        if (set_.rule != Break::spares_every_holder) homeless = without(homeless, stay);
        Mask spared = 0;
        for (std::size_t pack = 0; pack < packs_max; ++pack)
            if (has(named & c.placed, pack) && (set_.holds[pack] & homeless) != 0) spared |= bit(pack);
        return set_.rule == Break::marks_not_again ? Mask{0} : spared;
    }

    template <class Visit>
    void decide(const State& s, std::size_t i, Visit& visit) const {
        State after = s;
        Collector& c = after.collectors[i];
        Collection& gc = after.gc[c.target];
        const bool late = has(s.verdicts, c.target);
        if (set_.rule == Break::believes_own_copy) c.placed |= bit(c.number);
        if (set_.rule == Break::never_names && c.named != 0) gc.named = c.named;
        // A chunk without a place: either damage, or a "not forgotten" was stale and its packs went long ago.
        const Mask places = without(c.placed, without(doomed(s, 0), gc.named));
        const Mask have = chunks_in(places);
        if (set_.refuses && !late && without(needs_of(c.live), have) != 0) {
            const Mask truly_live = without(c.live, s.forgotten);
            if (!set_.overlap && without(needs_of(truly_live), have) != 0) after.fault = Fault::unplaced;
            end_round(after, i);
            visit(after, by(i, "gives no verdict: a reached chunk has no known place"));
            return;
        }
        const Mask spared = spared_by(s, c, gc.named);
        if (late && set_.rule == Break::overwrites_verdict) after.fault = Fault::verdict_twice;
        if (!late || set_.rule == Break::overwrites_verdict) gc.spared = spared;
        after.verdicts |= bit(c.target);
        c.live = c.placed = 0;
        c.at = At::sweep;
        c.named = set_.rule == Break::obeys_own_mark ? without(gc.named, spared) : Mask{0};
        if (to_sweep(after, i) == 0) end_round(after, i);
        visit(after, by(i, late ? "finds a verdict" : "writes the verdict, spared: @", spared));
    }

    Mask to_sweep(const State& s, std::size_t i) const {
        const Collector& c = s.collectors[i];
        if (set_.rule == Break::obeys_own_mark && c.named != 0) return c.named & s.packs;
        return without(s.gc[c.target].named, s.gc[c.target].spared) & s.packs;
    }

    template <class Visit>
    void sweep(const State& s, std::size_t i, Visit& visit) const {
        State after = s;
        const Mask left = to_sweep(s, i);
        const auto pack = static_cast<std::size_t>(std::countr_zero(left));
        if (left != 0) after.packs = without(after.packs, bit(pack));
        if (left != 0 && !has(doomed(s, 0), pack)) after.fault = Fault::wrong_deletion;
        if (to_sweep(after, i) == 0) end_round(after, i);
        visit(after, by(i, left != 0 ? "deletes pack #" : "finds all deleted", pack));
    }
};

}  // namespace holdfast::sim
