#include "clients/redis/connection.h"

#include <hiredis/read.h>

#include <algorithm>

#include "base/text.h"
#include "clients/redis/socket.h"

namespace holdfast::redis {

namespace {

constexpr std::size_t input_bytes = 256 * 1024;
constexpr std::size_t output_bytes_max = 1024 * 1024;
constexpr std::size_t line_bytes_max = 64 * 1024;

// hiredis's reader builds our replies by these.
Reply* place_in(const redisReadTask* task) {
    if (task->parent == nullptr) return new Reply;
    auto* const parent = static_cast<Reply*>(task->parent->obj);
    return &parent->list[static_cast<std::size_t>(task->idx)];
}
void* make_text(const redisReadTask* task, char* text, std::size_t bytes) {
    Reply* const out = place_in(task);
    out->kind = task->type == REDIS_REPLY_ERROR    ? Reply::Kind::error
                : task->type == REDIS_REPLY_STATUS ? Reply::Kind::status
                                                   : Reply::Kind::text;
    out->text.assign(text, bytes);
    return out;
}
void* make_number(const redisReadTask* task, long long value) {
    Reply* const out = place_in(task);
    out->kind = Reply::Kind::number;
    out->number = value;
    return out;
}
void* make_nil(const redisReadTask* task) { return place_in(task); }
void free_reply(void* reply) { delete static_cast<Reply*>(reply); }

redisReplyObjectFunctions functions() {
    redisReplyObjectFunctions out{};
    out.createString = make_text;
    // The count is an int in old versions of hiredis, a size_t in new ones.
    out.createArray = [](const redisReadTask* task, auto count) -> void* {
        Reply* const list = place_in(task);
        list->kind = Reply::Kind::list;
        list->list.resize(static_cast<std::size_t>(count));
        return list;
    };
    out.createInteger = make_number;
    out.createNil = make_nil;
    out.freeObject = free_reply;
    return out;
}

struct FreeReader {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
};

std::string hint_for(std::string_view text) {
    if (text.starts_with("WRONGPASS") || text.starts_with("NOAUTH") || text.find("AUTH") != std::string_view::npos)
        return "Give user and password of an account of this server.";
    if (text.starts_with("NOPERM"))
        return "Give the account what it needs: ACL SETUSER NAME +psync +replconf +info +ping +auth; to restore also "
               "+restore +select and the keys.";
    if (text.starts_with("OOM")) return "Raise its maxmemory, or restore less.";
    if (text.starts_with("READONLY")) return "Name the master, or end the replication by REPLICAOF NO ONE.";
    if (text.starts_with("LOADING")) return "Try again when it has loaded its data.";
    return "";
}

}  // namespace

struct Connection::Session {
    Session(World& world, const Endpoint& endpoint, Code failure) : socket(world, endpoint, failure) {
        static redisReplyObjectFunctions makers = functions();
        reader.reset(redisReaderCreateWithFunctions(&makers));
        input.resize(input_bytes);
    }
    Socket socket;
    std::unique_ptr<redisReader, FreeReader> reader;
    Bytes output;
    std::size_t sent = 0;  // of output
    Bytes input;           // [begin, end): came, and was not taken yet
    std::size_t begin = 0;
    std::size_t end = 0;

    // The answer to nearly every write, which need not go through the reader when nothing is in it.
    bool take_ok() {
        constexpr std::string_view ok = "+OK\r\n";
        if (end - begin < ok.size() || reader->ridx != -1 || reader->pos != reader->len) return false;
        if (as_text(ByteView(input).subspan(begin, ok.size())) != ok) return false;
        begin += ok.size();
        return true;
    }

    bool fill(Nanoseconds wait) {
        if (begin < end) return true;
        begin = 0;
        end = socket.read(input, wait);
        return end > 0;
    }
};

Connection::Connection(World& world, const Endpoint& endpoint, Code failure)
    : world_(world), endpoint_(endpoint), failure_(failure) {
    session_ = std::make_unique<Session>(world_, endpoint_, failure_);
    authenticate();
    if (endpoint_.database.value_or(0) != 0) ask({"SELECT", std::to_string(*endpoint_.database)});
}

Connection::~Connection() = default;

void Connection::close() { session_.reset(); }

void Connection::authenticate() {
    if (endpoint_.password.empty()) return;
    std::vector<std::string> command{"AUTH"};
    if (!endpoint_.user.empty()) command.push_back(endpoint_.user);
    command.push_back(endpoint_.password);
    if (const Reply got = try_ask(command); got.is_error())
        throw Error{failure_, "the Redis server at {} refuses the password: {}", endpoint_.place(), printable(got.text)}
            .hint(hint_for(got.text));
}

Reply Connection::try_ask(const std::vector<std::string>& command) {
    put(command);
    return reply();
}

Reply Connection::ask(const std::vector<std::string>& command) {
    Reply out = try_ask(command);
    if (out.is_error()) fail(out, command.front());
    return out;
}

void Connection::fail(const Reply& got, std::string_view command) {
    throw Error{failure_, "the Redis server at {} refuses {}: {}", endpoint_.place(), command, printable(got.text)}
        .hint(hint_for(got.text));
}

void Connection::put(const std::vector<std::string>& command) {
    put_raw(as_bytes(fmt::format("*{}\r\n", command.size())));
    for (const std::string& part : command) {
        put_raw(as_bytes(fmt::format("${}\r\n", part.size())));
        put_raw(as_bytes(part));
        put_raw(as_bytes("\r\n"));
    }
}

void Connection::put(std::initializer_list<ByteView> command) {
    put_raw(as_bytes(fmt::format("*{}\r\n", command.size())));
    for (const ByteView part : command) {
        put_raw(as_bytes(fmt::format("${}\r\n", part.size())));
        put_raw(part);
        put_raw(as_bytes("\r\n"));
    }
}

void Connection::put_raw(ByteView bytes) {
    while (!bytes.empty()) {
        const ByteView part = bytes.first(std::min(bytes.size(), output_bytes_max));
        append(session_->output, part);
        bytes = bytes.subspan(part.size());
        if (session_->output.size() >= output_bytes_max) flush();
    }
}

std::size_t Connection::unsent() const { return session_->output.size() - session_->sent; }

void Connection::flush() {
    Session& s = *session_;
    while (s.sent < s.output.size()) {
        const std::size_t done = s.socket.write(ByteView(s.output).subspan(s.sent), answer_max);
        if (done == 0) s.socket.fail("it takes no more bytes");
        s.sent += done;
    }
    s.output.clear();
    s.sent = 0;
}

bool Connection::has_input() { return session_->begin < session_->end || session_->socket.can_read(); }

Reply Connection::reply() {
    flush();
    Session& s = *session_;
    while (true) {
        if (s.take_ok()) return {Reply::Kind::status, "OK", 0, {}};
        void* got = nullptr;
        if (redisReaderGetReply(s.reader.get(), &got) != REDIS_OK)
            s.socket.fail(fmt::format("it does not speak Redis's protocol: {}", s.reader->errstr));
        if (got != nullptr) {
            const std::unique_ptr<Reply> owned(static_cast<Reply*>(got));
            return std::move(*owned);
        }
        if (s.begin == s.end) {
            if (!s.fill(answer_max)) s.socket.fail("no answer within a minute");
            continue;
        }
        redisReaderFeed(s.reader.get(), reinterpret_cast<const char*>(s.input.data() + s.begin), s.end - s.begin);
        s.begin = s.end;
    }
}

std::size_t Connection::read_some(MutableByteView into, Nanoseconds wait) {
    Session& s = *session_;
    if (s.begin == s.end) return s.socket.read(into, wait);
    const std::size_t bytes = std::min(into.size(), s.end - s.begin);
    std::memcpy(into.data(), s.input.data() + s.begin, bytes);
    s.begin += bytes;
    return bytes;
}

std::string Connection::read_line(Nanoseconds wait) {
    Session& s = *session_;
    std::string out;
    while (true) {
        if (!s.fill(wait)) s.socket.fail("no answer");
        const char c = static_cast<char>(s.input[s.begin++]);
        if (c == '\n') break;
        out += c;
        if (out.size() > line_bytes_max) s.socket.fail("it does not speak Redis's protocol");
    }
    if (out.ends_with('\r')) out.pop_back();
    return out;
}

std::string info_value(std::string_view info, std::string_view name) {
    for (std::size_t at = 0; at < info.size();) {
        const std::size_t end = std::min(info.find('\n', at), info.size());
        std::string_view line = info.substr(at, end - at);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':')
            return std::string(line.substr(name.size() + 1));
        at = end + 1;
    }
    return "";
}

}  // namespace holdfast::redis
