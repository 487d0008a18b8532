// clients/redis/socket.h: a TCP or Unix socket, in TLS where it is asked for, that never blocks without a limit.
//
// Errors   of the code that the owner chose, with what to do; cancelled and terminated when we are to stop
// Threads  one at a time
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/world.h"
#include "clients/redis/endpoint.h"

namespace holdfast::redis {

class Socket {
public:
    Socket(World& world, const Endpoint& endpoint, Code failure);
    ~Socket();
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    // 0: nothing within `wait`. The end of the connection is a failure.
    std::size_t read(MutableByteView into, Nanoseconds wait);
    // Some of it; 0 when the peer does not take any within `wait`.
    std::size_t write(ByteView bytes, Nanoseconds wait);
    bool can_read();
    [[noreturn]] void fail(std::string_view what) const;

private:
    struct Tls;
    void connect_unix();
    void connect_tcp();
    void start_tls();
    bool wait(short events, Nanoseconds longest);

    World& world_;
    const Endpoint endpoint_;
    const Code failure_;
    Fd fd_;
    std::unique_ptr<Tls> tls_;
};

}  // namespace holdfast::redis
