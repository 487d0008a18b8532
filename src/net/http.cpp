#include "net/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::net {

namespace {

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::string trimmed(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return std::string(text);
}

// "https://user:secret@host/path?signature" as it may be shown.
std::string shown(std::string url) {
    const std::size_t authority = url.find("://");
    if (authority != std::string::npos) {
        const std::size_t end = std::min(url.find_first_of("/?#", authority + 3), url.size());
        const std::size_t at = url.rfind('@', end);
        if (at != std::string::npos && at > authority) url.erase(authority + 3, at - authority - 2);
    }
    return printable(url.substr(0, url.find('?')));
}

long milliseconds(Nanoseconds time) { return static_cast<long>(std::max<Nanoseconds>(time / 1'000'000, 1)); }

// One request under way, as curl's callbacks see it.
struct Exchange {
    World& world;
    const HttpRequest& request;
    HttpResponse response;
    bool is_too_long = false;
    std::size_t sent = 0;
    std::exception_ptr failure;
};

// Nothing may be thrown through curl.
template <class Work>
std::size_t guarded(Exchange& exchange, std::size_t done, const Work& work) {
    try {
        return work() ? done : 0;
    } catch (...) {
        exchange.failure = std::current_exception();
        return 0;
    }
}

// A hint: no server has us set aside more than this.
std::size_t said_length(const Exchange& exchange) {
    constexpr std::uint64_t believed_max = 32 * 1024 * 1024;
    const auto said = exchange.response.headers.find("content-length");
    if (said == exchange.response.headers.end()) return 0;
    return std::min<std::uint64_t>(std::strtoull(said->second.c_str(), nullptr, 10), believed_max);
}

std::size_t take_body(char* data, std::size_t, std::size_t size, void* to) {
    auto& exchange = *static_cast<Exchange*>(to);
    return guarded(exchange, size, [&] {
        const ByteView bytes = as_bytes(std::string_view(data, size));
        if (exchange.request.take_body) {
            exchange.request.take_body(bytes);
            return true;
        }
        exchange.is_too_long = exchange.response.body.size() + size > exchange.request.body_bytes_max;
        if (exchange.is_too_long) return false;
        if (exchange.response.body.empty()) exchange.response.body.reserve(said_length(exchange));
        append(exchange.response.body, bytes);
        return true;
    });
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* to) {
    auto& exchange = *static_cast<Exchange*>(to);
    return guarded(exchange, size, [&] {
        const std::string_view line(data, size);
        if (line.starts_with("HTTP/")) exchange.response.headers.clear();  // of a redirect
        const std::size_t colon = line.find(':');
        if (colon != std::string_view::npos)
            exchange.response.headers[lower(std::string(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
        return true;
    });
}

std::size_t give_body(char* into, std::size_t, std::size_t room, void* from) {
    auto& exchange = *static_cast<Exchange*>(from);
    const ByteView rest = exchange.request.body->subspan(exchange.sent);
    const std::size_t size = std::min(room, rest.size());
    std::memcpy(into, rest.data(), size);
    exchange.sent += size;
    return size;
}

// curl begins anew after a redirect or on a connection that had died.
int seek_body(void* from, curl_off_t offset, int origin) {
    auto& exchange = *static_cast<Exchange*>(from);
    if (origin != SEEK_SET || offset < 0 || static_cast<std::size_t>(offset) > exchange.request.body->size())
        return CURL_SEEKFUNC_FAIL;
    exchange.response.was_resent = true;
    exchange.sent = static_cast<std::size_t>(offset);
    return CURL_SEEKFUNC_OK;
}

int look_at_stop(void* from, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& exchange = *static_cast<Exchange*>(from);
    return guarded(exchange, 1,
                   [&] {
                       exchange.world.stop.check();
                       return true;
                   }) == 1
               ? 0
               : 1;
}

class HeaderList {
public:
    ~HeaderList() { curl_slist_free_all(list_); }
    void add(const std::string& line) {
        curl_slist* const grown = curl_slist_append(list_, line.c_str());
        if (grown == nullptr) throw Error{Code::failed, "there is no memory for the headers of a request"};
        list_ = grown;
    }
    curl_slist* get() const { return list_; }

private:
    curl_slist* list_ = nullptr;
};

}  // namespace

struct HttpClient::Handle {
    CURL* curl = nullptr;
    char said[CURL_ERROR_SIZE] = {};
};

HttpClient::HttpClient(World& world) : world_(world), handle_(std::make_unique<Handle>()) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    handle_->curl = curl_easy_init();
    if (handle_->curl == nullptr) throw Error{Code::failed, "the HTTP client cannot begin"};
}

HttpClient::~HttpClient() { curl_easy_cleanup(handle_->curl); }

HttpResponse HttpClient::send(const HttpRequest& request) {
    const std::string scheme = scheme_of(request.url);
    if (scheme != "http" && scheme != "https")
        throw Error{Code::usage, "{} is no http:// or https:// URL", shown(request.url)};
    Exchange exchange{world_, request, {}, false, 0, nullptr};
    CURL* const curl = handle_->curl;
    curl_easy_reset(curl);
    handle_->said[0] = 0;
    const auto set = [&](CURLoption option, auto value) {
        if (curl_easy_setopt(curl, option, value) != CURLE_OK)
            throw Error{Code::failed, "this libcurl does not know option {}", static_cast<int>(option)};
    };
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    set(CURLOPT_NOBODY, request.method == "HEAD" ? 1L : 0L);
    set(CURLOPT_PROTOCOLS_STR, scheme.c_str());
    set(CURLOPT_REDIR_PROTOCOLS_STR, scheme.c_str());
    set(CURLOPT_FOLLOWLOCATION, request.redirects_max > 0 ? 1L : 0L);
    set(CURLOPT_MAXREDIRS, static_cast<long>(request.redirects_max));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_SSLVERSION, long{request.tls_min == Tls::v1_2 ? CURL_SSLVERSION_TLSv1_2 : CURL_SSLVERSION_TLSv1_3});
    if (!request.ca_file.empty()) set(CURLOPT_CAINFO, request.ca_file.c_str());
    set(CURLOPT_TIMEOUT_MS, milliseconds(request.timeout));
    set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(std::min(request.connect_timeout, request.timeout)));
    if (request.silence_max > 0) {
        set(CURLOPT_LOW_SPEED_LIMIT, 1L);
        set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.silence_max / one_second));
    }
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    if (!request.passes_proxies) set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "holdfast");
    set(CURLOPT_ERRORBUFFER, handle_->said);
    set(CURLOPT_WRITEFUNCTION, &take_body);
    set(CURLOPT_WRITEDATA, &exchange);
    set(CURLOPT_HEADERFUNCTION, &take_header);
    set(CURLOPT_HEADERDATA, &exchange);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &look_at_stop);
    set(CURLOPT_XFERINFODATA, &exchange);
    if (request.body) {
        set(CURLOPT_UPLOAD, 1L);
        set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
        set(CURLOPT_READFUNCTION, &give_body);
        set(CURLOPT_READDATA, &exchange);
        set(CURLOPT_SEEKFUNCTION, &seek_body);
        set(CURLOPT_SEEKDATA, &exchange);
    }
    HeaderList headers;
    headers.add("Expect:");  // no round trip before the body
    for (const auto& [name, value] : request.headers) headers.add(name + (value.empty() ? ";" : ": " + value));
    set(CURLOPT_HTTPHEADER, headers.get());

    const CURLcode end = curl_easy_perform(curl);
    if (exchange.failure) std::rethrow_exception(exchange.failure);
    if (exchange.is_too_long)
        throw Error{Code::unreachable, "the answer of {} is longer than {}", shown(request.url),
                    human_bytes(request.body_bytes_max)};
    if (end == CURLE_OPERATION_TIMEDOUT) {
        curl_off_t took_us = 0;
        curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &took_us);
        throw Error{Code::unreachable, "{} did not answer within {}", shown(request.url),
                    human_duration(std::min(request.timeout, Nanoseconds{took_us} * 1000))};
    }
    const char* const said = handle_->said[0] != 0 ? handle_->said : curl_easy_strerror(end);
    if (end == CURLE_SSL_CONNECT_ERROR && request.tls_min == Tls::v1_3)
        throw Error{Code::unreachable, "{}: {}", shown(request.url), said}.hint(
            "Where the server, or a proxy, does not know TLS 1.3, HOLDFAST_TLS_MIN=1.2 allows the older one.");
    if (end != CURLE_OK) throw Error{Code::unreachable, "{}: {}", shown(request.url), said};
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = static_cast<int>(status);
    curl_off_t first_us = 0, last_us = 0;
    curl_easy_getinfo(curl, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &last_us);
    exchange.response.took = Nanoseconds{last_us - first_us} * 1000;
    return std::move(exchange.response);
}

std::string scheme_of(const std::string& url) {
    const std::size_t end = url.find("://");
    return end == std::string::npos ? "" : lower(url.substr(0, end));
}

}  // namespace holdfast::net
