#include "net/http.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "testing/sim_world.h"

namespace holdfast::net {
namespace {

using testing::HasSubstr;

// Answers each connection with the next of its texts, after it has read the head of the request; then closes it. Where it
// said "keep-alive", it first reads another request, to which it has no answer; with "silence" at its end it stays open.
class Server {
public:
    explicit Server(std::vector<std::string> answers) : answers_(std::move(answers)) {
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::listen(socket_, 5), 0);
        EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~Server() {
        is_over_ = true;
        thread_.join();
        ::close(socket_);
    }
    std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
    std::vector<std::string> requests;  // after the answer

private:
    void run() {
        while (!is_over_) {
            pollfd look{socket_, POLLIN, 0};
            if (::poll(&look, 1, 20) <= 0) continue;
            const int peer = ::accept(socket_, nullptr, nullptr);
            requests.push_back(request_of(peer));
            const std::string answer = next_ < answers_.size() ? answers_[next_++] : "";
            const std::string said = answer.substr(0, answer.find("silence"));
            EXPECT_EQ(::write(peer, said.data(), said.size()), static_cast<ssize_t>(said.size()));
            while (said != answer && !is_over_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
            if (answer.find("keep-alive") != std::string::npos) requests.push_back(request_of(peer));
            ::close(peer);
        }
    }

    static std::string request_of(int peer) {
        std::string head;
        char piece[4096];
        while (head.find("\r\n\r\n") == std::string::npos) {
            const ssize_t got = ::read(peer, piece, sizeof piece);
            if (got <= 0) break;
            head.append(piece, static_cast<std::size_t>(got));
        }
        return head;
    }

    const std::vector<std::string> answers_;
    std::size_t next_ = 0;
    int socket_ = -1;
    int port_ = 0;
    std::atomic<bool> is_over_ = false;
    std::thread thread_;
};

class HttpTest : public testing::Test {
protected:
    SimWorld sim{1};
    HttpClient client{sim.world()};

    std::string failure_of(const HttpRequest& request, Code code) {
        try {
            client.send(request);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code);
            return error.message();
        }
        ADD_FAILURE() << "no failure";
        return "";
    }
};

TEST_F(HttpTest, gives_status_headers_and_body) {
    Server server({"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-Odd:  a b \r\n\r\ngone"});
    const HttpResponse response = client.send({.url = server.url("/x?y=z"), .headers = {{"X-Mine", "1"}}});
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.headers.at("x-odd"), "a b");
    EXPECT_EQ(as_text(response.body), "gone");
    ASSERT_EQ(server.requests.size(), 1);
    EXPECT_THAT(server.requests[0], HasSubstr("GET /x?y=z HTTP/1.1\r\n"));
    EXPECT_THAT(server.requests[0], HasSubstr("X-Mine: 1\r\n"));
}

TEST_F(HttpTest, sends_a_body) {
    Server server({"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"});
    const std::string body = "some bytes";
    EXPECT_EQ(client.send({.method = "PUT", .url = server.url("/object"), .body = as_bytes(body)}).status, 200);
    EXPECT_THAT(server.requests.at(0), HasSubstr("PUT /object HTTP/1.1\r\n"));
    EXPECT_THAT(server.requests.at(0), HasSubstr("Content-Length: 10\r\n"));
}

// libcurl sends again by itself; to who asked, the answer to the second is the only one.
TEST_F(HttpTest, says_when_a_request_may_have_been_heard_twice) {
    Server server({"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
                   "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"});
    const HttpRequest put{.method = "PUT", .url = server.url("/object"), .body = as_bytes("some bytes")};
    EXPECT_FALSE(client.send(put).was_resent);
    const HttpResponse second = client.send(put);
    EXPECT_EQ(second.status, 412);
    EXPECT_TRUE(second.was_resent);
    EXPECT_EQ(server.requests.size(), 3U);
}

TEST_F(HttpTest, follows_redirects_only_when_told_and_never_to_another_scheme) {
    const std::string there = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const auto to = [](const std::string& url) {
        return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + url + "\r\nConnection: close\r\n\r\n";
    };
    Server server({to("/other"), to("/other"), there, to("file:///etc/passwd"), to("https://127.0.0.1/")});
    EXPECT_EQ(client.send({.url = server.url("/")}).status, 302);
    EXPECT_EQ(client.send({.url = server.url("/"), .redirects_max = 2}).status, 200);
    failure_of({.url = server.url("/"), .redirects_max = 2}, Code::unreachable);
    failure_of({.url = server.url("/"), .redirects_max = 2}, Code::unreachable);
}

TEST_F(HttpTest, ends_a_request_that_takes_too_long) {
    Server server({"silence"});
    EXPECT_THAT(failure_of({.url = server.url("/"), .timeout = one_second / 5}, Code::unreachable),
                HasSubstr("did not answer within"));
}

TEST_F(HttpTest, ends_a_request_in_which_nothing_moves_any_more) {
    for (const std::string begun : {"silence", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"}) {
        Server server({begun == "silence" ? begun : begun + "silence"});
        HttpRequest request{.url = server.url("/")};
        request.timeout = 3600 * one_second;
        request.silence_max = one_second;
        EXPECT_THAT(failure_of(request, Code::unreachable), HasSubstr("did not answer within"));
    }
}

TEST_F(HttpTest, refuses_answers_that_are_cut_or_too_long) {
    Server server(
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlong"});
    failure_of({.url = server.url("/")}, Code::unreachable);
    EXPECT_THAT(failure_of({.url = server.url("/"), .body_bytes_max = 3}, Code::unreachable), HasSubstr("longer than"));
}

TEST_F(HttpTest, gives_a_long_body_in_pieces) {
    const std::string body(3'000'000, 'x');
    Server server({"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + body});
    std::size_t got = 0;
    const HttpRequest request{
        .url = server.url("/"), .body_bytes_max = 1, .take_body = [&](ByteView bytes) { got += bytes.size(); }};
    EXPECT_TRUE(client.send(request).body.empty());
    EXPECT_EQ(got, body.size());
}

TEST_F(HttpTest, says_what_cannot_be_reached_without_what_is_secret) {
    const std::string said = failure_of({.url = "http://user:hush@127.0.0.1:1/x?signature=hush"}, Code::unreachable);
    EXPECT_THAT(said, HasSubstr("http://127.0.0.1:1/x"));
    EXPECT_THAT(said, testing::Not(HasSubstr("hush")));
}

TEST_F(HttpTest, speaks_nothing_else) {
    failure_of({.url = "file:///etc/passwd"}, Code::usage);
    failure_of({.url = "127.0.0.1"}, Code::usage);
}

}  // namespace
}  // namespace holdfast::net
