// sources/redis/journal_form.h: the form of a Redis journal: stretches of the stream of changes, each with its time.
//
// Shape    doc/format/redis.md, "Journal". JournalReader: feed(bytes in any pieces) calls its sink
// Errors   corrupt
// Threads  one
// I1  a stretch holds whole commands and whole transactions
#pragma once

#include <string>

#include "base/position.h"

namespace holdfast::redis {

struct Stretch {
    std::uint64_t begin = 0;  // offsets in the stream: what came before, and what came with it
    std::uint64_t end = 0;
    std::uint32_t database = 0;  // that is selected when it begins; StreamState::unknown_database
    Nanoseconds time = 0;        // its changes were made by then
};

void append_line(Bytes& out, const std::string& line);
// What came before ends at `end`, and what follows begins at `begin`: nothing lies between.
void append_jump(Bytes& out, std::uint64_t end, std::uint64_t begin);
void append_stretch(Bytes& out, const Stretch& stretch);  // its bytes follow

// Between then and the time of the next stretch nobody looked: its changes may have been made at any time of that.
void append_dark(Bytes& out, Nanoseconds from);

class JournalSink {
public:
    virtual ~JournalSink() = default;
    virtual void line(const std::string&) {}
    virtual void jump(std::uint64_t /*end*/, std::uint64_t /*begin*/) {}
    virtual void dark(Nanoseconds /*from*/) {}
    virtual bool begin_stretch(const Stretch&) = 0;  // false: nothing more is needed
    virtual void stretch_bytes(ByteView) = 0;        // in pieces
    virtual void end_stretch(const Stretch&) = 0;
    virtual void void_stretch() {}  // the one that was begun comes again, or never
};

class JournalReader {
public:
    explicit JournalReader(JournalSink& sink) : sink_(sink) {}
    void begin_lane();
    bool feed(ByteView bytes);  // false: nothing more is needed

private:
    JournalSink& sink_;
    Bytes held_;
    Stretch stretch_;
    std::uint64_t left_ = 0;
    bool in_stretch_ = false;
    bool is_over_ = false;
};

}  // namespace holdfast::redis
