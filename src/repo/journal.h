// repo/journal.h: the change log of one source as it lies in a repository.
//
// Shape    lanes of segments; a lane belongs to one process, the next process ends it and takes the next lane
// Errors   corrupt; busy (another process follows the source), fenced (another one took over), unreachable
// Threads  one
// I1  create-if-absent of the next number is commit and fence in one
// I2  never in the chunk index, never deduplicated; a collection does not know of it
// I3  each head has the hash of the one before, through all lanes: what is missing shows
// I4  only segments by who may back up the source are of it; of a pack the table says who that is until content is read
// I5  what a store did not take in time is put again as it was, so a process does not stand in its own way
// Source   doc/format/journal.md; review.md C4
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "repo/repository.h"
#include "repo/segment.h"

namespace holdfast::repo {

class Journal {
public:
    Journal(const Repository& repository, std::string source);

    const std::string& source() const { return source_; }
    // Heads, from the listing and on from there slot by slot. What is known already is not read again.
    void read();
    const std::vector<Segment>& segments() const { return segments_; }  // by lane and number
    struct Damage {
        std::string object;
        Error why;
    };
    const std::vector<Damage>& damage() const { return damage_; }
    // The first free slot of the newest lane; nothing when there is no lane.
    struct Slot {
        std::uint32_t lane = 0;
        std::uint64_t number = 0;
        auto operator<=>(const Slot&) const = default;
    };
    const std::optional<Slot>& next() const { return next_; }
    // What the newest lane holds at its end cannot be read.
    bool tail_is_lost() const;

    // An unbroken stretch of segments.
    struct Run {
        std::size_t begin = 0;  // in segments()
        std::size_t end = 0;
        std::string why;  // it does not go on from the one before
        Moment from;
        Moment to;
        std::uint64_t records = 0;
        std::uint64_t bytes = 0;   // of plaintext
        std::uint64_t stored = 0;  // in the store
    };
    std::vector<Run> runs() const;

    // Opens, verifies, hands out every byte. Finds it also when it was put into a pack since read(); segments() may
    // then be new.
    void read_content(Segment segment, const std::function<void(ByteView)>& each);
    // Single objects of which a pack has a copy.
    const std::vector<std::string>& superseded() const { return superseded_; }
    // What has the name of a pack and is by someone who may not put segments together. It harms nobody.
    const std::set<std::string>& passed_over() const { return passed_over_; }

private:
    bool read_segment(const Slot& slot);
    void read_pack(const std::string& object);
    std::optional<Error> fault_of(const Segment& segment, const Slot& slot, const std::string& object) const;
    std::optional<Error> take(Segment segment, const Slot& slot, const std::string& object);

    const Repository& repository_;
    const std::string source_;
    const std::uint64_t tag_;
    std::map<Slot, Segment> known_;
    std::optional<Slot> next_;
    std::map<std::string, bool> packs_read_;
    std::vector<Segment> segments_;
    std::vector<Damage> damage_;
    std::vector<std::string> superseded_;
    std::set<std::string> passed_over_;
};

class JournalWriter {
public:
    JournalWriter(Repository& repository, const std::string& source);

    // Up to here the journal goes; nothing: there is none yet, or its end cannot be read.
    std::optional<Moment> last() const;
    struct Begin {
        bool continues = false;
        Moment at;
        std::string why = {};    // it does not continue
        bool take_over = false;  // also from a process that seems to be at work elsewhere
    };
    void begin(const Begin& begin);
    struct Piece {
        ByteView bytes;
        Moment last;  // records up to here are whole in what was appended so far
        std::uint64_t records = 0;
        bool open = false;  // the bytes end within a record
        std::vector<Pause> pauses = {};
    };
    void append(const Piece& piece);  // one segment
    // Puts what the store did not take when it was to, byte for byte; everything else begins with that.
    void settle();
    // Nothing more will come from this process.
    void end();

    // As it was when this writer was made.
    const Journal& journal() const { return journal_; }
    std::uint64_t segments() const { return segments_; }
    std::uint64_t bytes_stored() const { return bytes_stored_; }

private:
    void refuse_if_at_work(const Segment& newest, bool take_over) const;
    void end_lane(std::uint64_t number);
    void put(Segment segment, ByteView bytes);

    struct Unsettled {
        Segment segment;
        Bytes object;
    };
    Repository& repository_;
    Journal journal_;
    ProcessLock lock_;
    std::optional<Segment> newest_;
    std::optional<Unsettled> unsettled_;  // may be there or not
    std::uint64_t segments_ = 0;
    std::uint64_t bytes_stored_ = 0;
    bool open_ = false;
};

// Removes the objects that hold nothing that is to be kept (one flag for each of segments()); the newest of all stays.
// How many bytes that freed.
std::uint64_t expire_journal(const Repository& repository, const Journal& journal, const std::vector<bool>& keep);

// Keyed tags of the sources that have a journal; their names are sealed in it.
std::vector<std::uint64_t> list_journals(const Repository& repository);

}  // namespace holdfast::repo
