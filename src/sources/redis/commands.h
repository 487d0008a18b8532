// sources/redis/commands.h: the commands in a stream of changes, found as it comes in pieces.
//
// Shape    CommandScanner s; s.feed(bytes, [](const Command& c, std::size_t end) {…}): `end` is the place in these bytes
//          that follows the command
// Errors   corrupt when it is no such stream
// Threads  one
// Limits   of the arguments only the first two are kept, up to argument_bytes_max each
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace holdfast::redis {

struct Command {
    std::string name;               // in capitals
    std::vector<std::string> head;  // the first arguments after the name
    std::uint64_t arguments = 0;    // how many follow the name
};

class CommandScanner {
public:
    static constexpr std::size_t argument_bytes_max = 512;

    template <class Each>
    void feed(ByteView bytes, const Each& each) {
        std::size_t at = 0;
        while (at < bytes.size()) {
            if (is_between()) {
                if (const std::size_t whole = take_whole(bytes.subspan(at)); whole > 0) {
                    at += whole;
                    each(static_cast<const Command&>(command_), at);
                    continue;
                }
            }
            at += step(bytes.subspan(at));
            if (!is_whole_) continue;
            is_whole_ = false;
            each(static_cast<const Command&>(command_), at);
        }
    }
    bool is_between() const { return state_ == State::count && line_.empty(); }

private:
    enum class State : std::uint8_t { count, length, body, ending };
    // A command that lies there as a whole, as nearly all do; 0 when it does not.
    std::size_t take_whole(ByteView bytes);
    void name_command(std::string_view text);
    std::size_t step(ByteView bytes);
    std::size_t take_line(ByteView bytes);
    void end_argument();

    State state_ = State::count;
    std::string line_;
    bool has_line_ = false;
    Command command_;
    std::uint64_t arguments_left_ = 0;
    std::uint64_t number_ = 0;  // of the argument at hand
    std::uint64_t bytes_left_ = 0;
    std::string kept_;
    bool is_whole_ = false;
};

// Knows where the stream stands: which database, and whether a transaction is open.
class StreamState {
public:
    explicit StreamState(std::uint32_t selected = unknown_database) : database(selected) {}
    void pass(const Command& command);
    bool in_transaction() const { return in_transaction_; }
    static constexpr std::uint32_t unknown_database = 0xffffffff;
    std::uint32_t database;

private:
    bool in_transaction_ = false;
};

}  // namespace holdfast::redis
