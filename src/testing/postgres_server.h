// testing/postgres_server.h: a real PostgreSQL server for tests, on a private socket and a free port of the loopback.
//
// Shape    PostgresServer server; server.sql("CREATE DATABASE shop"); server.url("shop")
// Errors   failed, with the server's log, when it does not start
// Threads  one owner
// Limits   stopped and removed when it goes out of scope; run as user `postgres` when we are root, as it refuses root
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "base/process.h"

namespace holdfast::testing {

class PostgresServer {
public:
    PostgresServer();
    ~PostgresServer();
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    // By the socket, as superuser `postgres`, without a password.
    std::string url(const std::string& database) const;
    // What psql prints: rows as lines, columns with '|'; failed when a statement fails.
    std::string sql(const std::string& text, const std::string& database = "postgres") const;

private:
    TemporaryFolder folder_;
    int port_ = 0;
    std::unique_ptr<Child> server_;
};

}  // namespace holdfast::testing
