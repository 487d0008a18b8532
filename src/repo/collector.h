// repo/collector.h: one collection, step by step; any step may be redone by anyone.
//
// Shape    survey() marks and chooses; repack() copies kept chunks verbatim; condemn() is G1; settle() is G2 to G4 for
//          every collection that is not settled yet
// Errors   unreachable; corrupt when a log is broken, what was committed is no record, or a snapshot's tree cannot be read:
//          then nothing is condemned, and no verdict is written
// Threads  one thread
// Limits   resident: 16 bytes a live chunk, 40 bytes a tree node
// Source   doc/format/collection.md; tests/sim/collection_model_test.cpp
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "repo/collection.h"
#include "repo/session.h"

namespace holdfast::repo {

// The prefixes of all chunks and nodes that snapshots reach, sorted.
struct Marked {
    std::vector<ChunkPrefix> live;
    std::vector<ChunkPrefix> doubtful;  // of these, those that somebody says and somebody denies: they need not exist
};
Marked mark(Repository& repository);

struct PackUse {
    PackRef pack;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_live = 0;  // of records that nothing else holds as well
};

struct Survey {
    std::vector<PackUse> kept;
    std::vector<PackUse> rewritten;
    std::vector<PackUse> garbage;  // nothing of it is reached, or no log names it
};

class Collector {
public:
    explicit Collector(Repository& repository) : repository_(repository) {}

    // Whoever does not know all that was committed must not delete. corrupt
    void require_whole_logs() const;
    Survey survey(double unused_max);
    // What turns out to be damaged goes from `rewritten` to `kept`.
    void repack(Survey& survey);
    // False when somebody else began a collection meanwhile; then nothing was condemned.
    bool condemn(const Survey& survey);

    struct Settled {
        std::uint64_t packs_deleted = 0;
        std::uint64_t bytes_freed = 0;
        std::uint64_t packs_pending = 0;
        std::vector<SessionName> waiting;
    };
    Settled settle();

private:
    std::uint64_t last_collection();
    void stamp_every_lane(std::uint64_t number);
    std::vector<SessionName> sessions_before(std::uint64_t number);
    CollectionVerdict judge(const Condemned& condemned);
    bool silent_for_a_day(const Lane& lane);

    Repository& repository_;
    std::map<PackId, std::set<std::uint32_t>> kept_offsets_;  // of packs to rewrite: the records that go on
};

}  // namespace holdfast::repo
