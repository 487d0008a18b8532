// tests/sim/collection_state.h: what the model of collection remembers, which rule it may break, and how large it is.
//
// Shape    a few logs, at most eight packs of one or two chunks, sessions 1 to 6
// Units    packs, chunks, logs, snapshots, sessions and collections are small numbers; sets of them are bits
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace holdfast::sim {

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

struct CollectionState {
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

}  // namespace holdfast::sim
