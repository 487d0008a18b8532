#include "clients/redis/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>

namespace holdfast::redis {

namespace {

constexpr Nanoseconds look_for_stop = 200'000'000;
constexpr Nanoseconds connect_max = 10 * one_second;

struct FreeAddresses {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

std::string tls_text() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "the connection ended" : reason;
}

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

struct Socket::Tls {
    std::unique_ptr<SSL_CTX, FreeSsl> context;
    std::unique_ptr<SSL, FreeSsl> ssl;
};

Socket::Socket(World& world, const Endpoint& endpoint, Code failure)
    : world_(world), endpoint_(endpoint), failure_(failure) {
    if (endpoint_.is_socket())
        connect_unix();
    else
        connect_tcp();
    if (endpoint_.tls) start_tls();
}

Socket::~Socket() = default;

void Socket::fail(std::string_view what) const {
    throw Error{failure_, "the Redis server at {}: {}", endpoint_.place(), what}.hint(
        "Look whether it runs, and whether its address and port are right.");
}

void Socket::connect_unix() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (endpoint_.host.size() >= sizeof address.sun_path) fail("the path of its socket is too long");
    std::memcpy(address.sun_path, endpoint_.host.c_str(), endpoint_.host.size() + 1);
    fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd_ || ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail(errno_text(errno));
    set_nonblocking(fd_.get());
}

void Socket::connect_tcp() {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int problem =
        ::getaddrinfo(endpoint_.host.c_str(), fmt::format("{}", endpoint_.port).c_str(), &wanted, &found);
    if (problem != 0) fail(::gai_strerror(problem));
    const std::unique_ptr<addrinfo, FreeAddresses> list(found);
    std::string why = "it has no address";
    for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) {
        fd_ = Fd(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd_) continue;
        int error = ::connect(fd_.get(), at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS) {
            error = ETIMEDOUT;
            socklen_t size = sizeof error;
            if (wait(POLLOUT, connect_max)) ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        }
        if (error == 0) {
            const int on = 1;
            ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
            return;
        }
        why = errno_text(error);
    }
    fail(why);
}

void Socket::start_tls() {
    tls_ = std::make_unique<Tls>();
    tls_->context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* const context = tls_->context.get();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    const bool trusts = endpoint_.ca.empty()
                            ? SSL_CTX_set_default_verify_paths(context) == 1
                            : SSL_CTX_load_verify_locations(context, endpoint_.ca.c_str(), nullptr) == 1;
    if (!trusts) fail("the certificates that are trusted cannot be read: " + tls_text());
    if (!endpoint_.cert.empty() && SSL_CTX_use_certificate_chain_file(context, endpoint_.cert.c_str()) != 1)
        fail("the client's certificate cannot be read: " + tls_text());
    const std::string& key = endpoint_.key.empty() ? endpoint_.cert : endpoint_.key;
    if (!key.empty() && SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        fail("the client's key cannot be read: " + tls_text());
    if (!endpoint_.insecure) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    tls_->ssl.reset(SSL_new(context));
    SSL* const ssl = tls_->ssl.get();
    if (!endpoint_.is_socket()) {
        X509_VERIFY_PARAM* const checked = SSL_get0_param(ssl);
        if (X509_VERIFY_PARAM_set1_ip_asc(checked, endpoint_.host.c_str()) != 1) {
            SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     const_cast<char*>(endpoint_.host.c_str()));  // the macro for it casts in the old style
            SSL_set1_host(ssl, endpoint_.host.c_str());
        }
    }
    ERR_clear_error();
    SSL_set_fd(ssl, fd_.get());
    while (true) {
        const int done = SSL_connect(ssl);
        if (done == 1) return;
        const int why = SSL_get_error(ssl, done);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            const long verdict = SSL_get_verify_result(ssl);
            fail("TLS: " + (verdict != X509_V_OK && !endpoint_.insecure
                                ? std::string(X509_verify_cert_error_string(verdict))
                                : tls_text()));
        }
        if (!wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, connect_max)) fail("TLS: no answer");
    }
}

bool Socket::wait(short events, Nanoseconds longest) {
    const Nanoseconds until = world_.clock.steady() + longest;
    while (true) {
        world_.stop.check();
        const Nanoseconds left = std::max<Nanoseconds>(0, until - world_.clock.steady());
        pollfd one{fd_.get(), events, 0};
        const int ready = ::poll(&one, 1, static_cast<int>((std::min(left, look_for_stop) + 999'999) / 1'000'000));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) fail(errno_text(errno));
        if (left == 0) return false;
    }
}

bool Socket::can_read() {
    if (tls_ && SSL_pending(tls_->ssl.get()) > 0) return true;
    pollfd one{fd_.get(), POLLIN, 0};
    return ::poll(&one, 1, 0) > 0;
}

std::size_t Socket::read(MutableByteView into, Nanoseconds longest) {
    while (true) {
        if (!tls_) {
            const ssize_t got = ::recv(fd_.get(), into.data(), into.size(), 0);
            if (got > 0) return static_cast<std::size_t>(got);
            if (got == 0) fail("it closed the connection");
            if (errno == EINTR) continue;
            if (errno != EAGAIN) fail(errno_text(errno));
            if (!wait(POLLIN, longest)) return 0;
            continue;
        }
        ERR_clear_error();
        const int got =
            SSL_read(tls_->ssl.get(), into.data(), static_cast<int>(std::min<std::size_t>(into.size(), 1 << 20)));
        if (got > 0) return static_cast<std::size_t>(got);
        const int why = SSL_get_error(tls_->ssl.get(), got);
        if (why == SSL_ERROR_ZERO_RETURN) fail("it closed the connection");
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) fail("TLS: " + tls_text());
        if (!wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, longest)) return 0;
    }
}

std::size_t Socket::write(ByteView bytes, Nanoseconds longest) {
    while (true) {
        short events = POLLOUT;
        if (!tls_) {
            const ssize_t done = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (done > 0) return static_cast<std::size_t>(done);
            if (done < 0 && errno == EINTR) continue;
            if (errno != EAGAIN) fail(errno_text(errno));
        } else {
            ERR_clear_error();
            const int done = SSL_write(tls_->ssl.get(), bytes.data(),
                                       static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 20)));
            if (done > 0) return static_cast<std::size_t>(done);
            const int why = SSL_get_error(tls_->ssl.get(), done);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) fail("TLS: " + tls_text());
            if (why == SSL_ERROR_WANT_READ) events = POLLIN;
        }
        if (!wait(events, longest)) return 0;
    }
}

}  // namespace holdfast::redis
