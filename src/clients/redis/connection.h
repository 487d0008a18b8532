// clients/redis/connection.h: one session with a Redis server: commands and replies, pipelined or not, and raw bytes.
//
// Shape    Connection c(world, endpoint, Code::source_failed); c.ask({"INFO", "replication"}).text
// Errors   of the code that the owner chose (source_failed or target_failed), with the server's message and what to do;
//          cancelled and terminated when we are to stop
// Threads  one at a time
// Limits   a reply is in memory as a whole; answer_max without a byte is a failure
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/world.h"
#include "clients/redis/endpoint.h"

namespace holdfast::redis {

struct Reply {
    enum class Kind : std::uint8_t { text, status, error, number, list, nil };
    Kind kind = Kind::nil;
    std::string text;  // of text, status and error
    std::int64_t number = 0;
    std::vector<Reply> list;
    bool is_error() const { return kind == Kind::error; }
};

class Connection {
public:
    static constexpr Nanoseconds answer_max = 60 * one_second;

    // Connected and authenticated; with a database in the endpoint, that one is selected.
    Connection(World& world, const Endpoint& endpoint, Code failure);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Reply ask(const std::vector<std::string>& command);      // an error of the server is thrown
    Reply try_ask(const std::vector<std::string>& command);  // and here it is a Reply

    // Pipelined: as many replies must be read as commands were put.
    void put(std::initializer_list<ByteView> command);
    void put(const std::vector<std::string>& command);
    void put_raw(ByteView bytes);  // parts of a command
    void flush();
    std::size_t unsent() const;
    Reply reply();
    // Whether a reply, or a part of one, has come.
    bool has_input();

    // Bytes as they come, after the replies. 0: nothing within `wait`. The end of the connection is a failure.
    std::size_t read_some(MutableByteView into, Nanoseconds wait);
    std::string read_line(Nanoseconds wait);  // up to "\r\n" or "\n", without it

    [[noreturn]] void fail(const Reply& reply, std::string_view command);
    const Endpoint& endpoint() const { return endpoint_; }
    void close();

private:
    struct Session;
    void authenticate();

    World& world_;
    const Endpoint endpoint_;
    const Code failure_;
    std::unique_ptr<Session> session_;
};

// "redis_version:7.0.15" of what INFO says; empty when it is not there.
std::string info_value(std::string_view info, std::string_view name);

}  // namespace holdfast::redis
