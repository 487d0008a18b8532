// tests/sim/collection_writer.h: what a process that backs up may do next: W1 to W3, and the entries LANE and ENROL.
#pragma once

#include "collection_store.h"

namespace holdfast::sim {

class WriterModel : StoreView {
public:
    using StoreView::StoreView;

    void start_session(State& s, std::size_t i, Number session) const {
        s.writers[i] = Writer{first_step(s, set_.processes[i]), session, 0, 0};
    }

    template <class Visit>
    void steps(const State& s, std::size_t i, Visit& visit) const {
        const Writer& was = s.writers[i];
        const Process& process = set_.processes[i];
        const auto actor = static_cast<Number>(i);
        const Number pack = pack_of(was.session);
        const bool begun = was.at != first_step(s, process) || was.slot != 0;
        if (s.crashes != 0 && begun) {
            State after = s;
            --after.crashes;
            end_session(after, i);
            visit(after, Label{actor, "dies in session #", was.session});
        }
        const auto upload = [&](At then) {
            State after = s;
            after.packs |= bit(pack);
            after.writers[i].at = then;
            visit(after, Label{actor, "puts pack #", pack});
        };
        switch (was.at) {
            case At::begin: {
                State after = s;
                const Log& log = s.logs[process.log];
                after.writers[i] = {At::open, was.session, log.size, highest_stamp(log, log.size)};
                visit(after, Label{actor, "reads its log", 0});
                break;
            }
            case At::enlist:
                enlist(s, i, visit);
                break;
            case At::put_early:
                upload(At::open);
                break;
            case At::open:
                open(s, i, visit);
                break;
            case At::work:
                work(s, i, visit, upload);
                break;
            case At::publish: {
                const At then = set_.rule == Break::publishes_before_upload ? At::put_late : before_commit();
                append_in_session(s, i, Entry{Kind::fragment, pack}, then, "publishes FRAGMENT of pack #", visit);
                break;
            }
            case At::put_late:
                upload(before_commit());
                break;
            case At::check_fence: {
                State after = s;
                if (has(s.fences, was.session))
                    end_session(after, i);
                else
                    after.writers[i].at = At::commit;
                visit(after, Label{actor, "looks for a fence of session #", was.session});
                break;
            }
            default:
                append_in_session(s, i, Entry{Kind::commit, was.session}, At::rest, "COMMITs session #", visit);
                break;
        }
    }

private:
    At first_step(const State& s, const Process& process) const {
        if (set_.rule == Break::opens_before_lane_entry && process.born == Kind::lane) return At::open;
        if (set_.rule == Break::opens_before_enrol_entry && process.born == Kind::enrol) return At::open;
        if (process.born != Kind::none && !is_born(s, process.log)) return At::enlist;
        if (set_.rule == Break::opens_without_learning) return At::begin;
        return set_.rule == Break::uploads_before_open ? At::put_early : At::open;
    }

    void end_session(State& s, std::size_t i) const {
        const Writer was = s.writers[i];
        if (was.session == set_.processes[i].last) {
            s.writers[i] = Writer{};
        } else if (set_.rule == Break::goes_on_after_commit && has(s.told, was.session)) {
            s.writers[i] = Writer{At::work, next(was.session), was.slot, was.number};
        } else {
            start_session(s, i, next(was.session));
        }
    }

    At before_commit() const { return set_.rule == Break::fence_beside_log ? At::check_fence : At::commit; }

    template <class Visit>
    void enlist(const State& s, std::size_t i, Visit& visit) const {
        const Process& process = set_.processes[i];
        if (!is_born(s, process.parent)) return;
        State after = s;
        Writer& writer = after.writers[i];
        const bool late = open_session(s.logs[process.log], s.logs[process.log].size) == writer.session;
        Number slot = late ? Number{0} : writer.slot;
        const Put put = append(after, process.parent, slot, 0, Entry{process.born, process.log});
        if (put == Put::learnt)
            writer.slot = slot;
        else if (late)
            writer.at = At::work;
        else
            writer = Writer{first_step(after, process), writer.session, 0, 0};
        const char* text = process.born == Kind::lane ? "opens log # with LANE" : "enrols the signer of log #";
        visit(after, Label{static_cast<Number>(i), put == Put::learnt ? "reads an entry" : text, process.log});
    }

    // W1. A lane whose last session is open is taken, unless that session was a dead process of our own.
    template <class Visit>
    void open(const State& s, std::size_t i, Visit& visit) const {
        const Process& process = set_.processes[i];
        const auto actor = static_cast<Number>(i);
        if (process.born != Kind::none && !is_born(s, process.parent)) return;
        State after = s;
        Writer& writer = after.writers[i];
        Log& log = after.logs[process.log];
        const bool over = set_.rule == Break::opens_over_open_session;
        const bool at_end = !set_.single_steps || writer.slot == log.size;
        if (const Number open = open_session(log, log.size); at_end && open != 0 && !over) {
            if (open < process.first || open > process.last || set_.rule == Break::fence_beside_log) return;
            add(log, Entry{Kind::fenced, open});
            visit(after, Label{actor, "fences its own dead session #", open});
            return;
        }
        if (append(after, process.log, writer.slot, 0, Entry{Kind::open, writer.session}) == Put::learnt) {
            visit(after, Label{actor, "reads an entry", 0});
            return;
        }
        if (set_.rule != Break::opens_without_learning)
            writer.number = std::max(birth_number(s, process.log), highest_stamp(log, log.size));
        writer.at = set_.rule == Break::uploads_before_open ? At::publish : At::work;
        if (!is_born(s, process.log)) writer.at = At::enlist;
        visit(after, Label{actor, "OPENs with gc number #", writer.number});
        if (!set_.learns_more || writer.number == s.last_gc) return;
        writer.number = s.last_gc;
        visit(after, Label{actor, "OPENs with gc number #, more than its log says", writer.number});
    }

    template <class Visit, class Upload>
    void work(const State& s, std::size_t i, Visit& visit, const Upload& upload) const {
        const Writer& was = s.writers[i];
        const Mask places = published(s);
        for (std::size_t pack = 0; pack < packs_max; ++pack) {
            const bool holds_it = (set_.needs[was.session] & ~unsigned{set_.holds[pack]}) == 0;
            if (!has(places, pack) || !holds_it || !is_known(s, pack, was.number)) continue;
            State after = s;
            after.writers[i].at = before_commit();
            visit(after, Label{static_cast<Number>(i), "reuses a chunk of pack #", static_cast<Number>(pack)});
            break;  // which pack it was is not recorded: a snapshot names chunks
        }
        if (!set_.uploads) return;
        if (set_.rule == Break::publishes_before_upload) {
            State after = s;
            after.writers[i].at = At::publish;
            visit(after, Label{static_cast<Number>(i), "begins to upload pack #", pack_of(was.session)});
        } else {
            upload(At::publish);
        }
    }

    // W3.
    template <class Visit>
    void append_in_session(const State& s, std::size_t i, Entry entry, At then, const char* text, Visit& visit) const {
        State after = s;
        Writer& writer = after.writers[i];
        const Number session = writer.session;
        const bool last = then == At::rest;
        const Put put = append(after, set_.processes[i].log, writer.slot, session, entry);
        if (put == Put::refused) {
            if (last && set_.rule == Break::takes_exists_for_success) after.told |= bit(session);
            end_session(after, i);
            visit(after, Label{static_cast<Number>(i), "finds session # FENCED", session});
            return;
        }
        if (put == Put::done && last) {
            after.told |= bit(session);
            end_session(after, i);
        } else if (put == Put::done) {
            writer.at = then;
        }
        visit(after, Label{static_cast<Number>(i), put == Put::learnt ? "reads an entry" : text, entry.about()});
    }
};

}  // namespace holdfast::sim
