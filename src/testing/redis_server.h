// testing/redis_server.h: a real redis-server for tests, on a private socket and a free port of the loopback.
//
// Shape    RedisServer server; server.run({"SET", "a", "1"}); server.url()
// Errors   failed, with the server's log, when it does not start
// Threads  one owner
// Limits   stopped and removed when it goes out of scope
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/process.h"

namespace holdfast::testing {

class RedisServer {
public:
    // On what lies in `data`; empty: a folder of its own.
    explicit RedisServer(const std::vector<std::string>& settings = {}, const std::string& data = "");
    ~RedisServer();
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    std::string url() const;  // by the socket
    int port() const { return port_; }
    // What redis-cli prints.
    std::string run(const std::vector<std::string>& command) const;
    // Commands in the server's protocol; failed when one of them fails.
    void send(const std::string& commands) const;
    std::string digest() const { return run({"DEBUG", "DIGEST"}); }
    pid_t pid() const { return server_->pid(); }
    void kill();

private:
    TemporaryFolder folder_;
    int port_ = 0;
    std::unique_ptr<Child> server_;
};

// A command in the server's protocol.
std::string redis_command(const std::vector<std::string>& words);

}  // namespace holdfast::testing
