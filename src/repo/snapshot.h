// repo/snapshot.h: the committed record of one capture.
//
// Shape    R part (what retention and collection need) sealed to maintainers and readers, P part (names, command,
//          counts) to readers; both signed by the writer; the id is the hash of the signed record
// Units    nanoseconds since 1970 UTC; bytes
// Errors   corrupt when a record does not parse, open or verify
// Source   doc/format/snapshot.md
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/position.h"
#include "repo/ids.h"

namespace holdfast::repo {

struct ByteCounts {
    std::uint64_t logical = 0;  // of all items, as a reader of the source would count them
    std::uint64_t read = 0;     // read from the source this time
    std::uint64_t added = 0;    // new plaintext, after deduplication
    std::uint64_t stored = 0;   // new bytes in the store
};

struct ItemCounts {
    std::uint64_t added = 0;  // "new" in JSON
    std::uint64_t changed = 0;
    std::uint64_t unchanged = 0;
    std::uint64_t failed = 0;
    std::uint64_t total() const { return added + changed + unchanged; }
};

// Numbers are part of the format (doc/format/notes.md).
enum class ProofResult : std::uint8_t { pass = 1, fail = 2, not_tested = 3 };
constexpr std::uint8_t good_level = 3;

// What is known of a snapshot since it was last restored and compared.
struct Proof {
    std::uint8_t level =
        0;  // passed: up to here; failed: here; not tested: passed up to here, not as far as was wanted
    ProofResult result = ProofResult::not_tested;
    Nanoseconds time = 0;
    double seconds = 0;
    bool is_good() const { return result == ProofResult::pass && level >= good_level; }
};

struct Snapshot {
    SnapshotId id;       // known once committed
    std::string source;  // "orders-db", "files:/etc@host"
    std::string kind;
    std::string host;
    std::map<std::string, std::string> tags;
    Nanoseconds time = 0;                // when the capture began, by the writer's clock
    Nanoseconds received = 0;            // from its note, else time; what retention uses
    std::vector<std::string> describes;  // paths, command line
    std::uint64_t items = 0;
    ByteCounts bytes;
    ItemCounts counts;
    bool partial = false;               // some items could not be read
    bool several_instants = false;      // each item is by itself: a server gave no instant that all are of
    std::vector<std::string> left_out;  // of what is at or below these paths, something was there and is not in it
    ChunkId root;                       // of the tree
    ChunkId state;                      // of the writer's state; zero when there is none
    std::vector<ChunkId>
        facts;  // pieces of what the source counted inside its view, in order; empty: it counts nothing
    std::optional<Moment> moment;  // what it stands for, when the source's journal goes on from there
    SignerId signer;
    std::optional<SnapshotId> origin;  // set in copies: the id is the origin's
    std::vector<std::string> flags;    // from notes
    std::vector<std::string> holds;
    bool has_unreadable_notes = false;  // one of them may have been a hold
    std::optional<Proof> proof;
    bool is_good() const { return proof && proof->is_good() && flags.empty(); }
};

}  // namespace holdfast::repo
