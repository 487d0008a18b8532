// source/journal.h: a source's change log on its way into the repository, and out of it again.
//
// Shape    a journal is one stream of bytes in the source's own form (doc/format/<kind>.md). It is cut anywhere, also
//          within a record; who reads it gets the pieces in order, and is told where a new process began to write.
// Units    nanoseconds since 1970 UTC, by the source's clock where it has one
// Errors   source_failed, unreachable (of a Follower); target_failed, corrupt (of a Replay)
// Threads  one thread at a time for each object
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/position.h"

namespace holdfast {

class Capture;

struct JournalPiece {
    Bytes bytes;  // empty: nothing happened up to `last`
    // Up to here records are whole; what follows in `bytes` is the beginning of one that goes on in the next piece.
    Moment last;
    std::uint64_t records = 0;
    bool ends_within_record = false;
    std::vector<Pause> pauses = {};  // among what is in it
};

// Reads a source's change log from one moment on, without a gap.
class Follower {
public:
    virtual ~Follower() = default;
    struct Start {
        bool continues = false;  // from the moment that was asked for, proved to be in the log
        std::string why_not;     // "the oplog begins later": then a new base is needed
        Moment at;               // where it begins
    };
    virtual const Start& start() const = 0;
    // Where the log of the source can only be had together with its whole content (Redis): that content, to be read to
    // its end before the first read(). Null: a capture of the usual kind is taken when a base is needed.
    virtual std::unique_ptr<Capture> base() { return nullptr; }
    enum class Came : std::uint8_t {
        piece,  // `into` holds some
        idle,   // nothing within `wait`
        end,    // for `once`: all that was there at the start has been read
        broken  // the history that was followed is lost (rollback, failover too far behind): follow() anew
    };
    virtual Came read(JournalPiece& into, Nanoseconds wait) = 0;
    // Everything up to here is safe in the repository; the source need not keep it for us.
    virtual void durable(const Position&) {}
    virtual std::string broken_because() const { return {}; }
};

struct FollowRequest {
    World& world;
    std::optional<Moment> from;  // the last that is in the repository
    bool once = false;           // up to what is there now, then end
};

// Receives a journal: applies it to what was restored, or looks through it.
class Replay {
public:
    virtual ~Replay() = default;
    // Another process wrote what follows: an unfinished record before this is void, and comes again whole.
    virtual void begin_lane() = 0;
    // False: the wanted moment was reached, nothing more is needed. May hold records from before ReplayRequest::from,
    // which are passed over.
    virtual bool feed(ByteView bytes) = 0;
    struct Summary {
        std::uint64_t records = 0;  // applied
        Moment reached;
    };
    virtual Summary finish() = 0;
};

struct ReplayRequest {
    Moment from;                           // of the base that was restored
    std::optional<Nanoseconds> until;      // changes made up to here, this instant included
    std::optional<Position> until_before;  // changes before this one
};

// Something in a journal that a person may want to stop before.
struct HistoryEvent {
    Nanoseconds time = 0;
    Position position;
    std::string what;  // "drop", "truncate", "delete"
    std::string item;  // path of what it was done to
    std::uint64_t count = 0;
};
struct HistoryRequest {
    World& world;
    std::function<void(const HistoryEvent&)> each;
};

}  // namespace holdfast
