// Every interleaving of writers and collectors under the rules W1 to W3 and G1 to G4 of doc/format/collection.md,
// and the proof that each of the rules is needed: without it, the same model loses a chunk.
//
// Shape    a few logs, at most eight packs of one or two chunks, sessions 1 to 6; each step is one operation on
//          the store, so a pause or a crash can come between any two
// Limits   HOLDFAST_SIM_SCALE=1 (default): under ten CPU seconds without optimisation and with ASan;
//          2 and 3: more crashes, rounds and collectors, and every mutation's trace is printed
// Source   doc/format/collection.md; reference/review.md B1
#include "model_checker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace holdfast::sim {
namespace {

using Number = std::uint8_t;
using Mask = std::uint8_t;  // a set of packs, chunks, logs, snapshots or collections, one bit each

constexpr std::size_t logs_max = 3, slots_max = 18, packs_max = 8, collections_max = 7;
constexpr std::size_t writers_max = 3, collectors_max = 2;

constexpr Mask bit(std::size_t at) { return static_cast<Mask>(1U << at); }
constexpr bool has(Mask set, std::size_t at) { return (unsigned{set} >> at & 1U) != 0; }
constexpr Mask without(Mask set, Mask gone) { return static_cast<Mask>(set & ~unsigned{gone}); }
constexpr Number next(Number at) { return static_cast<Number>(at + 1); }

enum class Kind : Number { none, enrol, lane, open, fragment, commit, close, fenced, stamp, trimmed };

struct Entry {
    Number packed = 0;
    constexpr Entry() = default;
    constexpr Entry(Kind kind, std::size_t about)
        : packed{static_cast<Number>(static_cast<unsigned>(kind) << 4U | about)} {}
    Kind kind() const { return static_cast<Kind>(packed >> 4U); }
    Number about() const { return packed & 15U; }  // a log, session, pack or gc number
    bool operator==(const Entry&) const = default;
};

struct Log {
    Number size = 0;
    std::array<Entry, slots_max> entries{};
};

// The packs a collection names (gc/<n>) and those its verdict spares (gc/<n>/verdict).
struct Collection {
    Mask named = 0, spared = 0;
};

enum class At : Number {
    rest,
    begin,
    enlist,
    put_early,
    open,
    work,
    publish,
    put_late,
    check_fence,
    commit,  // a writer
    copy_open,
    copy_put,
    copy_publish,
    copy_close,
    mark,
    name,
    stamp,
    wait,
    decide,
    sweep  // a collector (and rest)
};

struct Writer {
    At at = At::rest;
    Number session = 0, slot = 0, number = 0;  // slot: the first one of its log that it has not read
};

struct Collector {
    At at = At::rest;
    Number rounds = 0, target = 0, log = 0, slot = 0, copies = 0, number = 0;
    Mask named = 0, logs = 0, live = 0, placed = 0;  // logs it knows, snapshots read, packs with a fragment
};

enum class Fault : Number { none, verdict_twice, wrong_deletion, unplaced };

struct State {
    std::array<Log, logs_max> logs{};
    std::array<Collection, collections_max> gc{};  // gc[n] is gc/<n>; 0 is not used
    std::array<Writer, writers_max> writers{};
    std::array<Collector, collectors_max> collectors{};
    Number last_gc = 0;
    Mask verdicts = 0;   // collections that have one
    Mask packs = 0;      // that exist in the store
    Mask forgotten = 0;  // snapshots
    Mask told = 0;       // sessions that were told "committed"
    Mask fences = 0;     // sessions with a fence object beside their log; a broken rule only
    Number crashes = 0;  // still to come
    Fault fault = Fault::none;
    std::array<Number, 7> padding{};
};

// One rule of the protocol left out or done wrongly.
enum class Break {
    nothing,
    // writers
    opens_without_learning,
    uploads_before_open,
    opens_over_open_session,
    ignores_condemned,
    believes_absent_gc,
    old_sparing_counts,
    reuses_pack_name,
    publishes_before_upload,
    ignores_fence,
    fence_beside_log,
    takes_exists_for_success,
    commits_into_another_session,
    goes_on_after_commit,
    fills_trimmed_slots,
    lane_without_number,
    lane_forgets_enrolment,
    opens_before_lane_entry,
    enrol_without_number,
    opens_before_enrol_entry,
    // collectors
    never_names,
    names_after_stamping,
    deletes_after_mark,
    copies_without_session,
    believes_own_copy,
    never_stamps,
    stamps_busy_logs_only,
    older_stamp_counts,
    lists_logs_before_stamping,
    waits_not,
    never_fences,
    marks_not_again,
    skips_fenced_fragments,
    counts_doomed_copies,
    obeys_own_mark,
    overwrites_verdict,
    spares_every_holder,
    leaves_sweep_undone,
};

struct Process {
    Number log = 0, first = 0, last = 0;  // its sessions
    Kind born = Kind::none;               // the entry that opens its log, if it must open it
    Number parent = 0;                    // the log which that entry goes to
};

struct Setting {
    std::array<Process, writers_max> processes{};
    std::array<Number, collectors_max> rounds{};
    std::array<Number, packs_max> holds{};  // chunks of each pack: 0 is old, 1 an orphan, session s puts s + 1
    std::array<Number, 5> needs{};          // chunks of each snapshot: 0 is old, session s makes snapshot s
    Mask packs = 0;                         // at the beginning
    Mask forgettable = 0;
    Mask fixed_logs = 1;  // known to all without an entry
    Number crashes = 0;
    Number copier_log = 0;      // where collector 1 publishes copies of pack 0; 0: it makes none
    bool overlap = false;       // a collection may begin before the verdict of the one before
    bool any_mark = false;      // a mark may name any packs whatever
    bool keeps_mark = false;    // a mark is not made again when its gc number is taken
    bool single_steps = false;  // each entry read is a step of its own
    bool refuses = true;        // no verdict while a reached chunk has no known place
    bool learns_more = false;   // an OPEN may carry a higher number than its log tells
    bool uploads = true;        // else a session commits only what it finds in other packs
    bool at_rest = true;        // liveness is asked for too
    Break rule = Break::nothing;
};

struct Label {
    Number actor = 0;       // writers, then collectors, then the user
    const char* text = "";  // # stands for `about`, @ for the set `about`
    Number about = 0;
};

// The protocol. Reading an entry commutes with everything (entries never change), so a process reads all that is in its
// way in the same step in which its create-if-absent succeeds; `single_steps` proves that this hides nothing. A stale
// "absent" then has no effect in a log: the create fails, and the entry is read. Where it has one (gc/<n>/verdict, the
// fragments of others, the tail of a log after the sessions waited for), the model takes either answer.
class CollectionModel {
public:
    using State = sim::State;

    explicit CollectionModel(const Setting& setting) : set_{setting} {}

    State initial() const {
        State s;
        s.packs = set_.packs;
        s.crashes = set_.crashes;
        for (std::size_t i = 0; i < writers_max; ++i)
            if (set_.processes[i].first != 0) start_session(s, i, set_.processes[i].first);
        for (std::size_t i = 0; i < collectors_max; ++i) s.collectors[i].rounds = set_.rounds[i];
        return s;
    }

    template <class Visit>
    void for_each_step(const State& s, Visit&& visit) const {
        for (std::size_t i = 0; i < writers_max; ++i)
            if (s.writers[i].at != At::rest) writer_steps(s, i, visit);
        for (std::size_t i = 0; i < collectors_max; ++i) collector_steps(s, i, visit);
        user_steps(s, visit);
    }

    const char* broken(const State& s) const {
        const Mask live = live_snapshots(s);
        const Mask found = s.packs & published(s);
        for (std::size_t snapshot = 0; snapshot < set_.needs.size(); ++snapshot)
            if (has(live, snapshot) && (set_.needs[snapshot] & ~unsigned{chunks_in(found)}) != 0)
                return "a snapshot has lost a chunk";
        if ((s.told & ~unsigned{committed(s)}) != 0) return "a writer was told that it committed, and did not";
        if (set_.rule != Break::nothing) return nullptr;
        if (s.fault == Fault::verdict_twice) return "a verdict was written twice";
        if (s.fault == Fault::wrong_deletion) return "a pack was deleted that was not condemned, or was spared";
        if (s.fault == Fault::unplaced) return "a collector knows no place of a reached chunk";
        for (const Log& log : s.logs)
            if (!is_well_formed(log)) return "an entry stands outside its session";
        return nullptr;
    }

    // Liveness: whatever died, one collector that runs undisturbed leaves nothing that a mark would name.
    const char* broken_at_rest(const State& s) const {
        if (!set_.at_rest) return nullptr;
        Setting calm = set_;
        calm.any_mark = calm.single_steps = false;
        calm.copier_log = 0;
        const CollectionModel janitors{calm};
        State now = s;
        now.crashes = 0;
        now.collectors[1] = Collector{};
        now.collectors[1].rounds = 6;
        for (bool moved = true; moved;) {
            moved = false;
            const State before = now;
            janitors.collector_steps(before, 1, [&](const State& after, Label) {
                if (!moved) now = after;
                moved = true;
            });
            if (broken(now) != nullptr) return "a collector that takes up what is left breaks something";
        }
        if (janitors.mark(now, 1) != 0 || (doomed(now) & now.packs) != 0) return "garbage that no collector can delete";
        return nullptr;
    }

    std::string describe(Label label) const {
        static constexpr std::array actors{"writer A", "writer B", "writer C", "collector 1", "collector 2", "user"};
        std::string line = std::string{actors[label.actor]} + " " + label.text;
        if (const std::size_t at = line.find('#'); at != std::string::npos)
            line.replace(at, 1, std::to_string(label.about));
        if (const std::size_t at = line.find('@'); at != std::string::npos) line.replace(at, 1, members(label.about));
        return line;
    }

private:
    static std::string members(Mask set) {
        std::string text;
        for (std::size_t at = 0; at < 8; ++at)
            if (has(set, at)) text += (text.empty() ? "" : ", ") + std::to_string(at);
        return text.empty() ? "none" : text;
    }

    // What logs say.

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

    // Writers.

    At first_step(const State& s, const Process& process) const {
        if (set_.rule == Break::opens_before_lane_entry && process.born == Kind::lane) return At::open;
        if (set_.rule == Break::opens_before_enrol_entry && process.born == Kind::enrol) return At::open;
        if (process.born != Kind::none && !is_born(s, process.log)) return At::enlist;
        if (set_.rule == Break::opens_without_learning) return At::begin;
        return set_.rule == Break::uploads_before_open ? At::put_early : At::open;
    }

    void start_session(State& s, std::size_t i, Number session) const {
        s.writers[i] = Writer{first_step(s, set_.processes[i]), session, 0, 0};
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

    template <class Visit>
    void writer_steps(const State& s, std::size_t i, Visit& visit) const {
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

    // Collectors.

    static Label by(std::size_t i, const char* text, std::size_t about = 0) {
        return Label{static_cast<Number>(writers_max + i), text, static_cast<Number>(about)};
    }

    static void end_round(State& s, std::size_t i) {
        Collector& c = s.collectors[i];
        c = Collector{At::rest, c.rounds, 0, 0, 0, c.copies, 0, 0, 0, 0, 0};
    }

    template <class Visit>
    void collector_steps(const State& s, std::size_t i, Visit&& visit) const {
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

    template <class Visit>
    void user_steps(const State& s, Visit& visit) const {
        const Label forgets{writers_max + collectors_max, "forgets snapshot #", 0};
        for (Number snapshot = 0; snapshot < set_.needs.size(); ++snapshot) {
            if (!has(live_snapshots(s) & set_.forgettable, snapshot)) continue;
            State after = s;
            after.forgotten |= bit(snapshot);
            visit(after, Label{forgets.actor, forgets.text, snapshot});
        }
        if (set_.rule != Break::fills_trimmed_slots) return;
        for (std::size_t where = 0; where < logs_max; ++where) {
            for (std::size_t at = 0; at < s.logs[where].size; ++at) {
                if (s.logs[where].entries[at].kind() != Kind::fenced) continue;
                State after = s;
                after.logs[where].entries[at] = Entry{Kind::trimmed, 0};
                visit(after, Label{forgets.actor, "trims a FENCED of log #", static_cast<Number>(where)});
            }
        }
    }

    Setting set_;
};

// Settings.

constexpr Mask x = 1, y = 2;

// Pack 0 holds X for snapshot 0, which the user may forget; session s would put X into pack s + 1.
Setting one_lane() {
    Setting s;
    s.processes[0] = Process{0, 1, 2};
    s.rounds = {1, 1};
    s.holds = {x, x, x, x, x, x, x, x};
    s.needs = {x, x, x, x, x};
    s.packs = bit(0);
    s.forgettable = bit(0);
    s.crashes = 1;
    return s;
}

Setting one_collector() {
    Setting s = one_lane();
    s.rounds = {1, 0};
    return s;
}

Setting one_session() {
    Setting s = one_lane();
    s.processes[0].last = 1;
    s.rounds = {1, 0};
    s.crashes = 0;
    return s;
}

Setting one_session_two_collectors() {
    Setting s = one_session();
    s.rounds = {1, 1};
    return s;
}

Setting one_session_three_collections() {
    Setting s = one_session();
    s.packs |= bit(1);
    s.rounds = {2, 1};
    return s;
}

// A dead process and its successor are two processes here, so that the dead one can wake.
Setting shared_lane() {
    Setting s = one_lane();
    s.processes[0] = Process{0, 1, 1};
    s.processes[1] = Process{0, 2, 2};
    s.crashes = 0;
    return s;
}

Setting shared_lane_one_collector() {
    Setting s = shared_lane();
    s.rounds = {1, 0};
    return s;
}

// Writer A enrols itself in the root's log, writer B opens a second lane beside it.
Setting enrolled() {
    Setting s = one_lane();
    s.processes[0] = Process{1, 1, 1, Kind::enrol, 0};
    s.processes[1] = Process{2, 2, 2, Kind::lane, 1};
    s.rounds = {1, 0};
    return s;
}

Setting enrolled_without_crash() {
    Setting s = enrolled();
    s.crashes = 0;
    return s;
}

// Collector 1 copies X out of pack 0, which also holds Y; the session needs Y.
Setting copying() {
    Setting s = one_session_two_collectors();
    s.fixed_logs = bit(0) | bit(1);
    s.copier_log = 1;
    s.holds[0] = x | y;
    s.holds[2] = s.needs[1] = y;
    return s;
}

// The session needs what is copied, and collector 2 is fast.
Setting copying_slowly() {
    Setting s = copying();
    s.holds[0] = s.holds[2] = s.needs[1] = x;
    s.rounds = {1, 2};
    s.refuses = s.uploads = false;
    return s;
}

// Collector 2 has an orphan to collect meanwhile, and there are no writers.
Setting copying_alone() {
    Setting s = copying();
    s.processes[0] = Process{};
    s.packs |= bit(1);
    return s;
}

// No older pack holds what both sessions need.
Setting of_its_own() {
    Setting s = one_collector();
    s.needs[1] = s.needs[2] = s.holds[2] = s.holds[3] = y;
    s.refuses = false;
    return s;
}

Setting of_its_own_refusing() {
    Setting s = of_its_own();
    s.refuses = true;
    s.at_rest = false;
    return s;
}

// The first session needs what the second does not.
Setting two_kinds() {
    Setting s = one_collector();
    s.needs[1] = s.holds[2] = y;
    s.crashes = 0;
    return s;
}

int scale() {
    const char* text = std::getenv("HOLDFAST_SIM_SCALE");
    return std::clamp(text == nullptr ? 1 : std::atoi(text), 1, 3);
}

constexpr std::size_t states_max = 50'000'000;

std::string as_text(const Exploration& found) {
    std::string text = found.broken + "\n";
    for (const std::string& step : found.trace) text += "    " + step + "\n";
    return text;
}

void expect_safe(const char* name, const Setting& setting, std::size_t states_at_least) {
    const Exploration found = explore(CollectionModel{setting}, states_max);
    std::printf("%-46s %8zu states %9zu steps, up to %2zu deep, %6zu at rest\n", name, found.states, found.steps,
                found.depth, found.resting);
    EXPECT_EQ(found.broken, "") << as_text(found);
    EXPECT_TRUE(found.complete) << "more than " << states_max << " states";
    EXPECT_GT(found.states, states_at_least);
    EXPECT_GT(found.resting, 0U);
}

// The protocol as it is written.

TEST(CollectionModel, one_writer_and_two_collectors_lose_nothing) {
    Setting setting = one_lane();
    setting.crashes = static_cast<Number>(scale());
    expect_safe("one writer, two sessions, two collectors", setting, 150'000);
}

TEST(CollectionModel, forgetting_the_new_snapshot_as_well_loses_nothing) {
    Setting setting = one_lane();
    setting.forgettable |= bit(1);
    setting.crashes = static_cast<Number>(scale() - 1);
    if (scale() > 1) setting.packs |= bit(1);
    if (scale() > 2) setting.rounds = {2, 1};
    expect_safe("the same, and more is forgotten", setting, 100'000);
}

TEST(CollectionModel, a_dead_process_may_wake_after_its_successor_took_the_lane) {
    Setting setting = shared_lane();
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("two processes in one lane", setting, 130'000);
}

TEST(CollectionModel, a_signer_enrolled_and_a_lane_opened_meanwhile_are_seen) {
    expect_safe("a signer enrolled and a lane opened meanwhile", enrolled(), 90'000);
    Setting setting = enrolled();
    setting.rounds = {1, 1};
    setting.uploads = scale() > 1;
    if (scale() == 2) setting.crashes = 0;
    expect_safe("the same beside two collectors", setting, 60'000);
}

TEST(CollectionModel, a_session_in_the_log_that_enrols_others_is_no_different) {
    Setting setting = enrolled();
    setting.processes[2] = Process{0, 3, 3};
    setting.uploads = false;
    setting.crashes = static_cast<Number>(scale() - 1);
    if (scale() > 2) setting.rounds = {1, 1};
    expect_safe("three writers in three logs", setting, 15'000);
}

TEST(CollectionModel, a_repacked_chunk_is_always_somewhere) {
    Setting setting = copying();
    setting.crashes = static_cast<Number>(scale() - 1);
    setting.uploads = scale() > 1;
    expect_safe("a collector that repacks, beside another", setting, 30'000);
}

TEST(CollectionModel, a_repacking_collector_may_die_anywhere) {
    Setting setting = copying_alone();
    setting.crashes = 1;
    setting.rounds = scale() > 1 ? std::array<Number, 2>{2, 2} : std::array<Number, 2>{2, 1};
    expect_safe("a collector that repacks and dies", setting, 90'000);
}

// Liberties that the protocol leaves, so that nobody need guard against them.

TEST(CollectionModel, a_mark_may_name_any_packs_whatever) {
    Setting setting = one_lane();
    setting.any_mark = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("marks that name any packs", setting, 90'000);
}

TEST(CollectionModel, a_writer_may_know_more_than_its_log_says) {
    Setting setting = one_lane();
    setting.learns_more = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("numbers above those in the log", setting, 50'000);
}

TEST(CollectionModel, collections_may_overlap_when_earlier_ones_count_as_carried_out) {
    Setting setting = one_lane();
    setting.overlap = true;
    setting.keeps_mark = scale() > 1;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("collections that overlap", setting, 100'000);
}

TEST(CollectionModel, a_mark_may_be_older_than_the_collections_before_its_own) {
    Setting setting = one_lane();
    setting.keeps_mark = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("marks that are not made again", setting, 80'000);
}

TEST(CollectionModel, reading_entry_by_entry_is_no_different) {
    Setting setting = one_lane();
    setting.single_steps = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("every entry read is a step", setting, 80'000);
    setting = enrolled();
    setting.single_steps = true;
    setting.uploads = false;
    expect_safe("the same with a lane and a signer meanwhile", setting, 5'000);
}

// What must be possible is: the models above would also be safe if nothing ever happened.

template <class Goal>
class GoalModel : public CollectionModel {
public:
    GoalModel(const Setting& setting, Goal goal) : CollectionModel{setting}, goal_{goal} {}
    const char* broken(const State& s) const { return goal_(s) ? "reached" : nullptr; }
    const char* broken_at_rest(const State&) const { return nullptr; }

private:
    Goal goal_;
};

template <class Goal>
void expect_possible(const char* name, const Setting& setting, Goal goal) {
    const Exploration found = explore(GoalModel<Goal>{setting, goal}, states_max);
    std::printf("possible: %-36s after %zu steps\n", name, found.trace.size());
    EXPECT_EQ(found.broken, "reached") << name;
}

TEST(CollectionModel, what_should_happen_can_happen) {
    expect_possible("a verdict spares a pack", one_session(),
                    [](const State& s) { return has(s.verdicts, 1) && s.gc[1].spared != 0; });
    expect_possible("a spared pack is condemned later and deleted", one_session_three_collections(),
                    [](const State& s) { return has(s.gc[1].spared, 0) && !has(s.packs, 0); });
    expect_possible("a copy replaces a pack still needed", copying(),
                    [](const State& s) { return !has(s.packs, 0) && !has(s.forgotten, 0); });
    expect_possible("a chunk of a pack being repacked is saved", copying(),
                    [](const State& s) { return has(s.gc[1].spared & s.gc[1].named, 0) && has(s.told, 1); });
    expect_possible("a session after the STAMP commits first", one_lane(),
                    [](const State& s) { return s.last_gc == 1 && s.verdicts == 0 && has(s.told, 2); });
    expect_possible("a collection is finished by another collector", one_lane(), [](const State& s) {
        return s.collectors[0].rounds == 0 && s.crashes == 0 && s.last_gc == 1 && s.collectors[0].at == At::rest &&
               s.collectors[1].at == At::sweep;
    });
}

// Mutations.

constexpr const char* lost = "a snapshot has lost a chunk";
constexpr const char* lied = "a writer was told that it committed, and did not";
constexpr const char* kept = "garbage that no collector can delete";

struct Mutation {
    Break rule;
    const char* name;
    Setting (*setting)();
    const char* outcome;
};

void PrintTo(const Mutation& mutation, std::ostream* out) { *out << mutation.name; }

constexpr Mutation mutations[] = {
    {Break::opens_without_learning, "W1_opens_without_learning_stamps", one_session, lost},
    {Break::uploads_before_open, "W1_uploads_before_open", one_session, lost},
    {Break::opens_over_open_session, "W1_opens_over_an_open_session", shared_lane_one_collector, lost},
    {Break::ignores_condemned, "W2_ignores_condemned", one_session, lost},
    {Break::believes_absent_gc, "W2_believes_that_gc_n_is_absent", one_session, lost},
    {Break::old_sparing_counts, "W2_an_old_sparing_counts", one_session_three_collections, lost},
    {Break::reuses_pack_name, "W2_puts_a_pack_under_an_old_name", one_collector, lost},
    {Break::publishes_before_upload, "W2_publishes_before_upload", one_collector, lost},
    {Break::ignores_fence, "W3_commits_after_FENCED", one_session, lost},
    {Break::fence_beside_log, "W3_fence_is_an_object_beside_the_log", one_session, lost},
    {Break::takes_exists_for_success, "W3_takes_exists_for_success", one_session, lied},
    {Break::commits_into_another_session, "W3_commits_into_another_session", shared_lane_one_collector, lost},
    {Break::goes_on_after_commit, "W3_goes_on_after_COMMIT", two_kinds, lost},
    {Break::fills_trimmed_slots, "W3_a_FENCED_is_trimmed", one_session, lost},
    {Break::lane_without_number, "LANE_without_number", enrolled_without_crash, lost},
    {Break::lane_forgets_enrolment, "LANE_forgets_number_of_ENROL", enrolled_without_crash, lost},
    {Break::opens_before_lane_entry, "LANE_after_OPEN", enrolled_without_crash, lost},
    {Break::enrol_without_number, "ENROL_without_number", enrolled_without_crash, lost},
    {Break::opens_before_enrol_entry, "ENROL_after_OPEN", enrolled_without_crash, lost},
    {Break::never_names, "G1_names_nothing_before_the_verdict", one_session, lost},
    {Break::names_after_stamping, "G1_names_after_stamping", one_session, lost},
    {Break::deletes_after_mark, "G1_deletes_after_the_mark", one_session, lost},
    {Break::copies_without_session, "G1_repacks_without_a_session", copying_slowly, lost},
    {Break::believes_own_copy, "G1_believes_a_copy_it_could_not_publish", copying_alone, lost},
    {Break::never_stamps, "G2_never_stamps", one_session, lost},
    {Break::stamps_busy_logs_only, "G2_stamps_busy_logs_only", one_session, lost},
    {Break::older_stamp_counts, "G2_an_older_STAMP_counts", one_session_three_collections, lost},
    {Break::lists_logs_before_stamping, "G2_lists_logs_before_stamping", enrolled_without_crash, lost},
    {Break::waits_not, "G3_waits_not", one_session, lost},
    {Break::never_fences, "G3_never_fences_the_dead", one_collector, kept},
    {Break::marks_not_again, "G4_marks_not_again", one_session, lost},
    {Break::skips_fenced_fragments, "G4_skips_fragments_of_fenced_sessions", of_its_own, lost},
    {Break::counts_doomed_copies, "G4_counts_copies_in_condemned_packs", one_session_three_collections, lost},
    {Break::obeys_own_mark, "G4_obeys_its_own_mark", one_session_two_collectors, lost},
    {Break::overwrites_verdict, "G4_overwrites_the_verdict", one_session_two_collectors, lost},
    {Break::spares_every_holder, "G4_spares_every_pack_with_a_reached_chunk", copying, kept},
    {Break::leaves_sweep_undone, "G4_nobody_takes_up_deletions", one_collector, kept},
};

class CollectionMutation : public ::testing::TestWithParam<Mutation> {};

TEST_P(CollectionMutation, is_caught) {
    const Mutation& mutation = GetParam();
    Setting setting = mutation.setting();
    setting.rule = mutation.rule;
    setting.at_rest = mutation.outcome == kept;
    const Exploration found = explore(CollectionModel{setting}, states_max);
    std::printf("%-42s %s after %2zu steps (%zu states)\n", mutation.name, found.broken.c_str(), found.trace.size(),
                found.states);
    EXPECT_EQ(found.broken, mutation.outcome) << as_text(found);
    if (scale() > 1) std::printf("%s", as_text(found).c_str());
    setting.rule = Break::nothing;
    if (found.states < 10'000) {
        EXPECT_EQ(explore(CollectionModel{setting}, states_max).broken, "") << "broken without the mutation, too";
    }
}

INSTANTIATE_TEST_SUITE_P(Rules, CollectionMutation, ::testing::ValuesIn(mutations),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST(CollectionModel, a_copy_under_an_old_name_harms_nobody) {
    Setting setting = copying_slowly();
    setting.rule = Break::reuses_pack_name;
    setting.refuses = true;
    setting.at_rest = false;  // it is useless, though: the name may be condemned already
    setting.rounds = scale() > 1 ? std::array<Number, 2>{2, 2} : std::array<Number, 2>{2, 1};
    setting.crashes = static_cast<Number>(scale() > 2 ? 1 : 0);
    const Exploration found = explore(CollectionModel{setting}, states_max);
    std::printf("%-46s %8zu states\n", "copies under old names", found.states);
    EXPECT_EQ(found.broken, "") << as_text(found);
}

// A second line of defence: who knows no place for a reached chunk writes no verdict.
TEST(CollectionModel, a_collector_that_misses_fragments_gives_no_verdict) {
    Setting setting = of_its_own_refusing();
    setting.rule = Break::skips_fenced_fragments;
    EXPECT_EQ(explore(CollectionModel{setting}, states_max).broken, "");
}

}  // namespace
}  // namespace holdfast::sim
