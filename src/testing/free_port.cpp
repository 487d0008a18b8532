#include "testing/free_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/file.h"

namespace holdfast::testing {

int free_port() {
    const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const general = reinterpret_cast<sockaddr*>(&address);
    if (::bind(probe.get(), general, size) != 0 || ::getsockname(probe.get(), general, &size) != 0)
        throw Error{Code::failed, "no free port: {}", errno_text(errno)};
    return ntohs(address.sin_port);
}

}  // namespace holdfast::testing
