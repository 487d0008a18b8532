#include "testing/minio_server.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

#include "base/error.h"
#include "testing/free_port.h"

namespace holdfast::testing {

namespace {

constexpr const char* user = "holdfast-tests";
constexpr const char* password = "holdfast-tests-secret";

std::string program() {
    const Bytes printed = run_and_read(
        {.argv = {std::string(HF_SOURCE_FOLDER) + "/tests/servers/build.sh", "minio"}, .add_environment = {}});
    std::string path(as_text(printed));
    while (!path.empty() && path.back() == '\n') path.pop_back();
    return path;
}

}  // namespace

MinioServer::MinioServer() : folder_("holdfast-minio-") {
    const int port = free_port(), console = free_port();
    endpoint_ = fmt::format("http://127.0.0.1:{}", port);
    ::mkdir((folder_.path() + "/" + bucket()).c_str(), 0700);
    server_ = std::make_unique<Child>(
        // A test that crashes leaves nobody behind who keeps its output open.
        ChildOptions{.argv = {"setpriv", "--pdeathsig", "KILL", program(), "server", "--quiet", "--address",
                              fmt::format("127.0.0.1:{}", port), "--console-address",
                              fmt::format("127.0.0.1:{}", console), folder_.path()},
                     .add_environment = {{"MINIO_ROOT_USER", user}, {"MINIO_ROOT_PASSWORD", password}},
                     .capture_stdout = false});
    ::setenv("AWS_ACCESS_KEY_ID", user, 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", password, 1);
    for (int i = 0; i < 600; ++i) {
        // Its own "ready" comes too early: requests are answered with 503 for a while yet. Then unsigned ones are denied.
        Child ask({.argv = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", endpoint_ + "/" + bucket()},
                   .add_environment = {}});
        Bytes status(3);
        ask.read(status);
        ask.wait();
        if (as_text(status) == "403") return;
        if (server_->wait_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(100))) break;
    }
    server_->kill(SIGKILL);
    server_->wait();
    throw Error{Code::failed, "the test's S3 server did not start: {}", server_->stderr_tail()};
}

MinioServer::~MinioServer() {
    server_->kill(SIGTERM);
    server_->wait();
}

}  // namespace holdfast::testing
