#include "testing/postgres_server.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "testing/free_port.h"

namespace holdfast::testing {

namespace {

const std::string bin = "/usr/lib/postgresql/15/bin/";

std::vector<std::string> as_server_user(std::vector<std::string> argv) {
    if (::geteuid() == 0)
        argv.insert(argv.begin(), {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"});
    return argv;
}

}  // namespace

PostgresServer::PostgresServer() : folder_("holdfast-pg-"), port_(free_port()) {
    if (::geteuid() == 0) {
        const passwd* const user = ::getpwnam("postgres");
        if (user == nullptr || ::chown(folder_.path().c_str(), user->pw_uid, user->pw_gid) != 0)
            throw Error{Code::failed, "there is no user postgres"};
    }
    const std::string data = folder_.path() + "/data";
    run_and_read({.argv = as_server_user({bin + "initdb", "--pgdata=" + data, "--username=postgres", "--no-sync",
                                          "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust"}),
                  .add_environment = {}});
    std::vector<std::string> argv{bin + "postgres", "-D", data};
    for (const std::string& setting :
         {std::string("fsync=off"), std::string("full_page_writes=off"), std::string("listen_addresses=127.0.0.1"),
          fmt::format("port={}", port_), "unix_socket_directories=" + folder_.path(), std::string("wal_level=minimal"),
          std::string("max_wal_senders=0"), std::string("shared_buffers=32MB"), std::string("log_min_messages=fatal")})
        argv.insert(argv.end(), {"-c", setting});
    server_ = std::make_unique<Child>(ChildOptions{.argv = as_server_user(argv), .add_environment = {}});
    for (int i = 0; i < 600; ++i) {
        Child ready({.argv = {bin + "pg_isready", "-q", "-h", folder_.path(), "-p", std::to_string(port_)},
                     .add_environment = {}});
        if (ready.wait().ok()) return;
        if (server_->wait_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(50))) break;
    }
    server_->kill(SIGKILL);
    server_->wait();
    throw Error{Code::failed, "the test's PostgreSQL server did not start: {}", server_->stderr_tail()};
}

PostgresServer::~PostgresServer() {
    server_->kill(SIGQUIT);
    server_->wait();
}

std::string PostgresServer::url(const std::string& database) const {
    std::string folder;
    for (const char c : folder_.path()) folder += c == '/' ? std::string("%2F") : std::string(1, c);
    return fmt::format("postgres://postgres@{}:{}/{}", folder, port_, database);
}

std::string PostgresServer::sql(const std::string& text, const std::string& database) const {
    const Bytes printed = run_and_read(
        {.argv = {bin + "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", url(database), "-c", text},
         .add_environment = {}});
    std::string out(as_text(printed));
    while (out.ends_with('\n')) out.pop_back();
    return out;
}

}  // namespace holdfast::testing
