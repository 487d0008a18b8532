// net/http.h: a small HTTP client, for health checks, stores and whoever else speaks HTTP.
//
// Shape    HttpClient client(world); client.send({.url = …}); a client keeps its connections for the next request
// Errors   unreachable: no connection, no TLS, no whole answer in time, an answer that is too long; usage for a URL that
//          is not http or https; cancelled and terminated when we are to stop. A status such as 404 is no error
// Threads  one at a time for each client
// Limits   body_bytes_max, redirects_max and the times of each request
// I1       certificates are verified, and nothing but http and https is spoken; a redirect never changes the scheme
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/world.h"

namespace holdfast::net {

enum class Tls : std::uint8_t { v1_2, v1_3 };

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::optional<ByteView> body = {};  // outlives send()
    Nanoseconds timeout = 30 * one_second;
    Nanoseconds connect_timeout = 10 * one_second;
    Nanoseconds silence_max = 0;  // nothing came or went for so long, in whole seconds; 0: only `timeout` counts
    std::size_t body_bytes_max = 1024 * 1024;  // of the answer, when it is kept
    std::uint32_t redirects_max = 0;
    std::string ca_file = {};    // instead of the system's
    bool passes_proxies = true;  // by http_proxy and the like; false for what only this machine can reach
    Tls tls_min = Tls::v1_3;
    std::function<void(ByteView)> take_body = {};  // instead of keeping it; of any length
};

struct HttpResponse {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case; of several alike the last one
    Bytes body;
    Nanoseconds took = 0;     // from the first byte of the answer to the last
    bool was_resent = false;  // on a connection that had died: the server may have heard the request before
};

class HttpClient {
public:
    explicit HttpClient(World& world);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    HttpResponse send(const HttpRequest& request);

private:
    struct Handle;
    World& world_;
    std::unique_ptr<Handle> handle_;
};

// "https" of "https://host/"; empty: none.
std::string scheme_of(const std::string& url);

}  // namespace holdfast::net
