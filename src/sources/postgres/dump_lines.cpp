#include "sources/postgres/dump_lines.h"

#include <cctype>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace holdfast::postgres {

namespace {

constexpr std::string_view head_of_database = "-- PostgreSQL database dump";
constexpr std::string_view head_of_cluster = "-- PostgreSQL database cluster dump";
constexpr std::string_view behind_the_last = " complete";

bool is_name_end(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0 || c == ';' || c == ',' || c == '(';
}

void skip_space(std::string_view& text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
}

// A name as it stands in a statement, without its quotes; moves behind it.
std::string take_name(std::string_view& text) {
    skip_space(text);
    std::string out;
    if (!text.empty() && (text.front() == '"' || text.front() == '\'')) {
        const char quote = text.front();
        std::size_t at = 1;
        for (; at < text.size(); ++at) {
            if (text[at] == quote && (at + 1 >= text.size() || text[at + 1] != quote)) break;
            if (text[at] == quote) ++at;
            out += text[at];
        }
        text.remove_prefix(std::min(at + 1, text.size()));
        return out;
    }
    while (!text.empty() && !is_name_end(text.front())) {
        out += static_cast<char>(std::tolower(static_cast<unsigned char>(text.front())));
        text.remove_prefix(1);
    }
    return out;
}

bool is_no_role(const std::string& name, bool was_quoted) {
    return name.empty() || (!was_quoted && (name == "public" || name == "current_user" || name == "session_user" ||
                                            name == "current_role" || name == "default" || name == "none"));
}

// "a, \"b c\" WITH GRANT OPTION;"
void take_names(std::string_view text, std::vector<std::string>& to) {
    while (true) {
        skip_space(text);
        const bool is_quoted = !text.empty() && (text.front() == '"' || text.front() == '\'');
        std::string name = take_name(text);
        if (!is_no_role(name, is_quoted)) to.push_back(std::move(name));
        skip_space(text);
        if (text.empty() || text.front() != ',') return;
        text.remove_prefix(1);
    }
}

void take_after(std::string_view line, std::size_t at, std::string_view word, std::vector<std::string>& to) {
    if (at != std::string_view::npos) take_names(line.substr(at + word.size()), to);
}

void take_after_last(std::string_view line, std::string_view word, std::vector<std::string>& to) {
    take_after(line, line.rfind(word), word, to);
}

void take_after_first(std::string_view line, std::string_view word, std::vector<std::string>& to) {
    take_after(line, line.find(word), word, to);
}

std::string name_after(std::string_view line, std::string_view words) {
    if (!line.starts_with(words)) return "";
    line.remove_prefix(words.size());
    return take_name(line);
}

}  // namespace

std::vector<std::string> roles_needed(std::string_view line) {
    std::vector<std::string> out;
    if (line.starts_with("ALTER DEFAULT PRIVILEGES ")) take_after_first(line, " FOR ROLE ", out);
    if (line.starts_with("GRANT ") || line.starts_with("ALTER DEFAULT PRIVILEGES ")) {
        take_after_last(line, " TO ", out);
        take_after_last(line, " FROM ", out);
        take_after_last(line, " GRANTED BY ", out);
    } else if (line.starts_with("REVOKE ")) {
        take_after_last(line, " FROM ", out);
    } else if (line.starts_with("ALTER ")) {
        take_after_last(line, " OWNER TO ", out);
    } else if (line.starts_with("CREATE POLICY ")) {
        const std::size_t on = line.find(" ON ");
        if (on != std::string_view::npos)
            take_after_first(line.substr(0, line.find(" USING (")).substr(on), " TO ", out);
    } else if (line.starts_with("CREATE SCHEMA ")) {
        take_after_last(line, " AUTHORIZATION ", out);
    } else if (line.starts_with("SET SESSION AUTHORIZATION ")) {
        take_after_first(line, " AUTHORIZATION ", out);
    }
    return out;
}

std::string role_made(std::string_view line) {
    for (const std::string_view words : {"CREATE ROLE ", "CREATE USER ", "CREATE GROUP "})
        if (std::string name = name_after(line, words); !name.empty()) return name;
    return "";
}

std::string database_made(std::string_view line) { return name_after(line, "CREATE DATABASE "); }

void DumpLines::add(ByteView bytes) {
    while (!bytes.empty()) {
        const auto* const end = static_cast<const std::uint8_t*>(std::memchr(bytes.data(), '\n', bytes.size()));
        const std::size_t size = end == nullptr ? bytes.size() : static_cast<std::size_t>(end - bytes.data()) + 1;
        const ByteView piece = bytes.first(size);
        bytes = bytes.subspan(size);
        if (is_within_) {
            listener_.pass_on(piece);
            is_within_ = end == nullptr;
        } else if (end != nullptr && held_.empty()) {
            take(as_text(piece), true);
        } else {
            append(held_, piece);
            if (end == nullptr && held_.size() < line_bytes_max) continue;
            const Bytes whole = std::exchange(held_, {});
            is_within_ = end == nullptr;
            take(as_text(whole), end != nullptr);
        }
    }
}

void DumpLines::finish() {
    const Bytes rest = std::exchange(held_, {});
    if (!rest.empty()) take(as_text(rest), true);
}

void DumpLines::refuse_what_was_cut_off() const {
    const std::string_view lacks =
        is_rows_                           ? "it ends in the rows of a table"
        : open_.contains(head_of_cluster)  ? "its last line, \"cluster dump complete\", is not there"
        : open_.contains(head_of_database) ? "its last line, \"database dump complete\", is not there"
                                           : "";
    if (lacks.empty()) return;
    throw Error{Code::source_failed, "the dump is cut off: {}", lacks}
        .unharmed("no snapshot was made of it")
        .hint("Take another copy of it, or make it anew.");
}

void DumpLines::look_for_an_end(std::string_view line) {
    for (const std::string_view head : {head_of_database, head_of_cluster}) {
        if (!line.starts_with(head)) continue;
        const std::string_view rest = line.substr(head.size());
        if (rest.empty()) open_.emplace(head);
        if (rest == behind_the_last) open_.erase(std::string(head));
    }
}

void DumpLines::take(std::string_view line, bool is_whole) {
    std::string_view text = line;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    if (is_rows_) {
        if (is_whole && text == "\\.") is_rows_ = false;
    } else if (!look_at(text)) {
        return;
    } else if (is_whole && text.ends_with(" FROM stdin;")) {
        is_rows_ = true;
    }
    listener_.pass_on(as_bytes(line));
}

bool DumpLines::look_at(std::string_view line) {
    if (line.starts_with("--")) look_for_an_end(line);
    if (line.empty() || std::isupper(static_cast<unsigned char>(line.front())) == 0) return true;
    if (line == "SET transaction_timeout = 0;") return server_major_ >= 17;
    if (const std::string role = role_made(line); !role.empty()) {
        known_.insert(role);
        return role != present_;
    }
    if (const std::string name = database_made(line); !name.empty()) listener_.database_made(name);
    for (const std::string& role : roles_needed(line))
        if (role != present_ && !role.starts_with("pg_") && known_.insert(role).second) listener_.role_needed(role);
    return true;
}

}  // namespace holdfast::postgres
