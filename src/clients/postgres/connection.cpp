#include "clients/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <utility>

#include "base/text.h"

namespace holdfast::postgres {

namespace {

constexpr int stop_look_ms = 200;
constexpr Nanoseconds connect_max = 15 * one_second;

PGresult* result_of(const std::shared_ptr<void>& held) { return static_cast<PGresult*>(held.get()); }

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

std::string field(const PGresult* result, int which) {
    const char* const text = PQresultErrorField(result, which);
    return text == nullptr ? std::string() : trimmed(text);
}

std::string hint_for_connecting(const PGconn* handle, std::string_view message) {
    const auto text = [](const char* part) { return quote_name(part == nullptr ? "" : part); };
    const auto says = [&](std::string_view words) { return message.find(words) != std::string_view::npos; };
    if (says("password authentication failed") || says("no password supplied"))
        return "Give the right password by `password: \"env:NAME\"`, PGPASSWORD or ~/.pgpass (PGPASSFILE).";
    if (says("pg_hba.conf")) return "Allow this user and address in the server's pg_hba.conf.";
    if (says("permission denied for database"))
        return fmt::format("Type, as its owner: GRANT CONNECT ON DATABASE {} TO {};", text(PQdb(handle)),
                           text(PQuser(handle)));
    if (says("database") && says("does not exist")) return "`psql -l` lists the server's databases.";
    if (says("role") && says("does not exist"))
        return "Name a user that the server has: postgres://USER@HOST/DATABASE.";
    if (says("Connection refused") || says("No such file") || says("timeout") || says("translate host name"))
        return "Check host and port, and that the server runs and listens there.";
    return "";
}

std::string hint_for(std::string_view sqlstate, const std::string& of_server) {
    if (!of_server.empty()) return of_server;
    if (sqlstate == "55P03") return "Somebody holds a lock on it, such as ALTER TABLE or VACUUM FULL; try again later.";
    if (sqlstate == "53300") return "Raise max_connections of the server, or lower `jobs`.";
    if (sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03")
        return "The server was stopped or ended this session; run it again.";
    return "";
}

}  // namespace

struct Connection::Session {
    PGconn* handle = nullptr;
    char* row = nullptr;
    Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() {
        PQfreemem(row);
        PQfinish(handle);
    }
};

std::size_t Rows::size() const { return static_cast<std::size_t>(PQntuples(result_of(result_))); }
std::size_t Rows::columns() const { return static_cast<std::size_t>(PQnfields(result_of(result_))); }
std::string_view Rows::at(std::size_t row, std::size_t column) const {
    const int r = static_cast<int>(row), c = static_cast<int>(column);
    return {PQgetvalue(result_of(result_), r, c), static_cast<std::size_t>(PQgetlength(result_of(result_), r, c))};
}
bool Rows::is_null(std::size_t row, std::size_t column) const {
    return PQgetisnull(result_of(result_), static_cast<int>(row), static_cast<int>(column)) != 0;
}

Connection::Connection(World& world, const Endpoint& endpoint, Code failure, Nanoseconds silence_max)
    : world_(world),
      endpoint_(endpoint),
      failure_(failure),
      silence_max_(silence_max),
      session_(std::make_unique<Session>()) {
    world.stop.check();
    std::map<std::string, std::string> parameters = endpoint.parameters();
    const Nanoseconds connect_within = silence_max == 0 ? connect_max : std::min(silence_max, connect_max);
    const std::string seconds = fmt::format("{}", (connect_within + one_second - 1) / one_second);
    if (silence_max != 0) parameters.erase("connect_timeout");
    parameters.try_emplace("connect_timeout", seconds);
    parameters.try_emplace("application_name", "holdfast");
    std::vector<const char*> keywords, values;
    for (const auto& [keyword, value] : parameters) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    session_->handle = PQconnectdbParams(keywords.data(), values.data(), 0);
    if (session_->handle == nullptr) throw Error{Code::failed, "out of memory"};
    if (PQstatus(session_->handle) != CONNECTION_OK) {
        const std::string message = trimmed(PQerrorMessage(session_->handle));
        throw Error{failure_, "{}: {}", endpoint_.shown(), message}.hint(
            hint_for_connecting(session_->handle, message));
    }
    // What the server remarks (NOTICE) is of no use to who waits for a backup.
    PQsetNoticeProcessor(
        session_->handle, [](void*, const char*) {}, nullptr);
}

Connection::~Connection() {
    if (PQtransactionStatus(session_->handle) == PQTRANS_ACTIVE) cancel();
}

int Connection::server_version() const { return PQserverVersion(session_->handle); }

bool Connection::is_alive() const { return PQstatus(session_->handle) == CONNECTION_OK; }

void Connection::cancel() noexcept {
    if (is_given_up_) return;  // who does not answer would let this wait, too
    PGcancel* const request = PQgetCancel(session_->handle);
    if (request == nullptr) return;
    std::array<char, 256> problem{};
    PQcancel(request, problem.data(), problem.size());
    PQfreeCancel(request);
}

void Connection::wait(bool for_write) {
    pollfd socket{PQsocket(session_->handle), static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN), 0};
    const int ready = ::poll(&socket, 1, stop_look_ms);
    world_.stop.check();
    if (ready != 0 || silence_max_ == 0) return;
    if (std::chrono::steady_clock::now() - asked_ < std::chrono::nanoseconds(silence_max_)) return;
    is_given_up_ = true;
    throw Error{failure_, "{}: the server did not answer within {}", endpoint_.shown(), human_duration(silence_max_)};
}

void Connection::fail_connection(const std::string& what) {
    const std::string message = trimmed(PQerrorMessage(session_->handle));
    throw Error{failure_, "{}: {}: {}", endpoint_.shown(), what, message.empty() ? "the connection was lost" : message}
        .hint(hint_for("57P01", ""));
}

void Connection::fail(const void* held, const std::string& sql) {
    const auto* const result = static_cast<const PGresult*>(held);
    sqlstate_ = field(result, PG_DIAG_SQLSTATE);
    std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty()) message = trimmed(PQresultErrorMessage(result));
    if (message.empty()) fail_connection("the server went away");
    if (const std::string detail = field(result, PG_DIAG_MESSAGE_DETAIL); !detail.empty()) message += ": " + detail;
    if (const std::string context = field(result, PG_DIAG_CONTEXT); context.starts_with("COPY"))
        message += fmt::format(" ({})", context.substr(0, 200));
    const std::string statement = sql.substr(0, 80);
    const Note note{"asking the server for `{}`", statement};
    const Code code = sqlstate_ == "53100" ? Code::no_space : failure_;
    throw Error{code, "{}: {}{}", endpoint_.shown(), message, sqlstate_.empty() ? "" : fmt::format(" [{}]", sqlstate_)}
        .hint(hint_for(sqlstate_, field(result, PG_DIAG_MESSAGE_HINT)));
}

void Connection::flush() {
    while (true) {
        const int left = PQflush(session_->handle);
        if (left == 0) return;
        if (left < 0) return;  // what went wrong comes with the result
        wait(true);
        if (PQconsumeInput(session_->handle) == 0) return;
    }
}

void Connection::send(const std::string& sql) {
    sqlstate_.clear();
    asked_ = std::chrono::steady_clock::now();
    if (PQsendQuery(session_->handle, sql.c_str()) == 0) fail_connection("the server went away");
    flush();
}

std::shared_ptr<void> Connection::result() {
    while (PQisBusy(session_->handle) != 0) {
        try {
            wait(false);
        } catch (...) {
            cancel();
            throw;
        }
        if (PQconsumeInput(session_->handle) == 0) break;
    }
    return {PQgetResult(session_->handle), [](void* result) { PQclear(static_cast<PGresult*>(result)); }};
}

Rows Connection::query(const std::string& sql) {
    send(sql);
    std::shared_ptr<void> last, failed;
    while (auto next = result()) {
        const ExecStatusType status = PQresultStatus(result_of(next));
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
            throw Error{failure_, "{}: a query may not be a COPY", endpoint_.shown()};
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY && !failed)
            failed = next;
        last = std::move(next);
    }
    if (failed) fail(failed.get(), sql);
    if (!last) fail_connection("the server went away");
    return Rows(std::move(last));
}

void Connection::run(const std::string& sql) { query(sql); }

std::optional<std::string> Connection::value(const std::string& sql) {
    const Rows rows = query(sql);
    if (rows.size() == 0 || rows.is_null(0, 0)) return std::nullopt;
    return rows.text(0, 0);
}

void Connection::begin_copy_out(const std::string& sql) {
    copying_ = sql;
    send(sql);
    const auto begun = result();
    if (!begun) fail_connection("the server went away");
    if (PQresultStatus(result_of(begun)) == PGRES_COPY_OUT) return;
    while (result()) {
    }
    fail(begun.get(), sql);
}

ByteView Connection::next_row() {
    PQfreemem(std::exchange(session_->row, nullptr));
    while (true) {
        const int got = PQgetCopyData(session_->handle, &session_->row, 1);
        if (got > 0) return as_bytes({session_->row, static_cast<std::size_t>(got)});
        if (got == 0) {
            wait(false);
            if (PQconsumeInput(session_->handle) == 0) fail_connection("the connection was lost");
            continue;
        }
        std::shared_ptr<void> failed;
        while (auto end = result())
            if (PQresultStatus(result_of(end)) != PGRES_COMMAND_OK && !failed) failed = std::move(end);
        if (failed) fail(failed.get(), copying_);
        if (got == -2) fail_connection("the connection was lost");
        return {};
    }
}

void Connection::begin_copy_in(const std::string& sql) {
    copying_ = sql;
    send(sql);
    const auto begun = result();
    if (!begun) fail_connection("the server went away");
    if (PQresultStatus(result_of(begun)) == PGRES_COPY_IN) {
        PQsetnonblocking(session_->handle, 1);
        return;
    }
    while (result()) {
    }
    fail(begun.get(), sql);
}

void Connection::put(ByteView bytes) {
    while (!bytes.empty()) {
        const ByteView piece = bytes.first(std::min<std::size_t>(bytes.size(), 256 * 1024));
        const int done = PQputCopyData(session_->handle, reinterpret_cast<const char*>(piece.data()),
                                       static_cast<int>(piece.size()));
        if (done < 0) fail_connection("the connection was lost");
        if (done == 0) {
            wait(true);
            continue;
        }
        bytes = bytes.subspan(piece.size());
        flush();
    }
}

void Connection::end_copy_in() {
    while (true) {
        const int done = PQputCopyEnd(session_->handle, nullptr);
        if (done < 0) fail_connection("the connection was lost");
        if (done > 0) break;
        wait(true);
    }
    flush();
    PQsetnonblocking(session_->handle, 0);
    std::shared_ptr<void> failed;
    bool any = false;
    while (auto end = result()) {
        any = true;
        if (PQresultStatus(result_of(end)) != PGRES_COMMAND_OK && !failed) failed = std::move(end);
    }
    if (failed) fail(failed.get(), copying_);
    if (!any) fail_connection("the server went away");
}

}  // namespace holdfast::postgres
