#include "sources/redis/replication.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::redis {

namespace {

constexpr std::size_t mark_bytes = 40;
constexpr Nanoseconds wait_for_link = 30 * one_second;
constexpr Nanoseconds keep_alive_max = 120 * one_second;  // the server says "\n" every few seconds

std::uint64_t number_in(std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc{} || end != text.data() + text.size())
        throw Error{Code::source_failed, "the server's answer to PSYNC makes no sense: {}", printable(text)};
    return out;
}

}  // namespace

Replication::Replication(World& world, const Endpoint& endpoint, const SyncRequest& request)
    : world_(world), connection_(world, endpoint, Code::source_failed) {
    introduce(request.rdb_only);
    ask(request);
}

void Replication::introduce(bool rdb_only) {
    connection_.ask({"REPLCONF", "capa", "eof", "capa", "psync2"});
    if (!rdb_only) return;
    // Servers before 7.0 do not know it, and keep the changes since for us; they go with the connection.
    const Reply got = connection_.try_ask({"REPLCONF", "rdb-only", "1"});
    if (got.is_error() && got.text.starts_with("NOPERM")) connection_.fail(got, "REPLCONF");
}

void Replication::ask(const SyncRequest& request) {
    const Nanoseconds give_up = world_.clock.steady() + wait_for_link;
    while (true) {
        if (request.from)
            connection_.put({"PSYNC", request.from->line, fmt::format("{}", request.from->at + 1)});
        else
            connection_.put({"PSYNC", "?", "-1"});
        connection_.flush();
        std::string line;
        while (line.empty()) line = connection_.read_line(keep_alive_max);
        answered_ = world_.clock.now();
        const std::vector<std::string> words = split(line, ' ');
        if (words[0] == "+CONTINUE" && request.from) {
            continues_ = true;
            position_ = *request.from;
            if (words.size() > 1) position_.line = words[1];
            return;
        }
        if (words[0] == "+FULLRESYNC" && words.size() == 3) {
            position_ = {words[1], number_in(words[2])};
            if (request.from)
                why_not_ = request.from->line == position_.line
                               ? "the server's replication backlog begins later (repl-backlog-size)"
                               : "the server has another history now (replication id)";
            return;
        }
        const bool is_for_now = line.starts_with("-NOMASTERLINK") || line.starts_with("-LOADING");
        if (!is_for_now || world_.clock.steady() > give_up)
            connection_.fail({Reply::Kind::error, line.substr(std::min<std::size_t>(line.size(), 1)), 0, {}}, "PSYNC");
        world_.clock.sleep(one_second / 2);
    }
}

void Replication::begin_payload() {
    has_begun_ = true;
    std::string line;
    while (line.empty()) line = connection_.read_line(keep_alive_max);
    if (line.starts_with("-")) connection_.fail({Reply::Kind::error, line.substr(1), 0, {}}, "PSYNC");
    if (line.starts_with("$EOF:") && line.size() == 5 + mark_bytes)
        mark_ = line.substr(5);
    else if (line.starts_with("$"))
        left_ = number_in(std::string_view(line).substr(1));
    else
        throw Error{Code::source_failed, "the server sends no RDB data after PSYNC, but: {}", printable(line)};
}

std::size_t Replication::read_rdb(MutableByteView into) {
    if (!has_begun_) begin_payload();
    if (is_over_) return 0;
    if (!left_) return read_marked(into);
    if (*left_ == 0) {
        is_over_ = true;
        return 0;
    }
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), *left_));
    const std::size_t got = connection_.read_some(into.first(most), keep_alive_max);
    if (got == 0) throw Error{Code::source_failed, "the server sends no more of its RDB data"};
    *left_ -= got;
    return got;
}

// Everything but the last 40 bytes can be given on; when these are the mark, that was all.
std::size_t Replication::read_marked(MutableByteView into) {
    Bytes small;
    MutableByteView room = into;
    if (into.size() <= mark_bytes) {
        small.resize(mark_bytes + into.size());
        room = small;
    }
    while (true) {
        std::ranges::copy(held_, room.begin());
        const std::size_t got = connection_.read_some(room.subspan(held_.size()), keep_alive_max);
        if (got == 0) throw Error{Code::source_failed, "the server sends no more of its RDB data"};
        const std::size_t end = held_.size() + got, given = end - std::min(end, mark_bytes);
        held_ = to_bytes(room.subspan(given, end - given));
        is_over_ = as_text(held_) == mark_;
        if (!small.empty()) std::ranges::copy(room.first(given), into.begin());
        if (given > 0 || is_over_) return given;
    }
}

std::size_t Replication::read_stream(MutableByteView into, Nanoseconds wait) {
    return connection_.read_some(into, wait);
}

void Replication::acknowledge(std::uint64_t offset) {
    connection_.put({"REPLCONF", "ACK", fmt::format("{}", offset)});
    connection_.flush();
}

}  // namespace holdfast::redis
