// clients/postgres/connection.h: one session with a PostgreSQL server: queries, COPY out and in.
//
// Errors   of the code that the owner chose (source_failed or target_failed), with the server's message, its SQLSTATE
//          and what to do; no_space when the server's disk is full; cancelled and terminated when we are to stop
// Threads  one at a time
// Limits   one row of a COPY is in memory at a time; a query's result as a whole
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/world.h"
#include "clients/postgres/endpoint.h"

namespace holdfast::postgres {

class Connection;

// What a query gave, as text.
class Rows {
public:
    std::size_t size() const;
    std::size_t columns() const;
    std::string_view at(std::size_t row, std::size_t column) const;
    bool is_null(std::size_t row, std::size_t column) const;
    std::string text(std::size_t row, std::size_t column) const { return std::string(at(row, column)); }
    bool is_true(std::size_t row, std::size_t column) const { return at(row, column) == "t"; }

private:
    friend class Connection;
    explicit Rows(std::shared_ptr<void> result) : result_(std::move(result)) {}
    std::shared_ptr<void> result_;
};

class Connection {
public:
    // `silence_max`: after which a server that does not answer is given up; 0: never, once it is connected.
    Connection(World& world, const Endpoint& endpoint, Code failure, Nanoseconds silence_max = 0);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Rows query(const std::string& sql);
    void run(const std::string& sql);  // one or several statements
    // The first column of the first row; nothing when there is no row or it is null.
    std::optional<std::string> value(const std::string& sql);

    void begin_copy_out(const std::string& sql);
    // One row with its line break, valid until the next call; empty at the end.
    ByteView next_row();

    void begin_copy_in(const std::string& sql);
    void put(ByteView bytes);
    void end_copy_in();

    int server_version() const;  // 150004
    int server_major() const { return server_version() / 10000; }
    const Endpoint& endpoint() const { return endpoint_; }
    const std::string& sqlstate() const { return sqlstate_; }  // of the last error
    bool is_alive() const;

private:
    struct Session;
    struct Result;
    void wait(bool for_write);
    void send(const std::string& sql);
    std::shared_ptr<void> result();  // nothing after the last one
    void flush();
    [[noreturn]] void fail(const void* result, const std::string& sql);
    [[noreturn]] void fail_connection(const std::string& what);
    void cancel() noexcept;

    World& world_;
    const Endpoint endpoint_;
    const Code failure_;
    const Nanoseconds silence_max_;
    std::unique_ptr<Session> session_;
    std::chrono::steady_clock::time_point asked_;
    bool is_given_up_ = false;
    std::string sqlstate_;
    std::string copying_;
};

}  // namespace holdfast::postgres
