#include "sources/redis/commands.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::redis {

namespace {

constexpr std::size_t line_bytes_max = 64;
constexpr std::size_t kept_arguments = 2;

std::uint64_t number_after(const std::string& line, char sign) {
    std::uint64_t out = 0;
    const auto [end, problem] = std::from_chars(line.data() + 1, line.data() + line.size(), out);
    if (line.empty() || line[0] != sign || problem != std::errc{} || end != line.data() + line.size())
        throw Error{Code::corrupt, "the stream of changes makes no sense at `{}`", printable(line)};
    return out;
}

}  // namespace

std::size_t CommandScanner::take_line(ByteView bytes) {
    const auto found = std::ranges::find(bytes, static_cast<std::uint8_t>('\n'));
    const auto some = static_cast<std::size_t>(found - bytes.begin());
    has_line_ = found != bytes.end();
    line_ += as_text(bytes.first(some));
    if (line_.size() > line_bytes_max)
        throw Error{Code::corrupt, "the stream of changes makes no sense at `{}`", printable(line_)};
    if (has_line_ && line_.ends_with('\r')) line_.pop_back();
    return some + (has_line_ ? 1 : 0);
}

std::size_t CommandScanner::step(ByteView bytes) {
    if (state_ == State::body) {
        const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(bytes_left_, bytes.size()));
        if (number_ <= kept_arguments && kept_.size() < argument_bytes_max)
            kept_ += as_text(bytes.first(std::min(some, argument_bytes_max - kept_.size())));
        bytes_left_ -= some;
        if (bytes_left_ == 0) state_ = State::ending;
        return some;
    }
    const std::size_t taken = take_line(bytes);
    if (!has_line_) return taken;
    const std::string line = std::exchange(line_, {});
    switch (state_) {
        case State::count:
            if (line.empty() || line[0] == '#') break;  // a sign of life, or a note in an append-only file
            arguments_left_ = number_after(line, '*');
            if (arguments_left_ == 0) break;
            number_ = 0;
            command_ = {};
            command_.arguments = arguments_left_ - 1;
            state_ = State::length;
            break;
        case State::length:
            bytes_left_ = number_after(line, '$');
            kept_.clear();
            state_ = bytes_left_ == 0 ? State::ending : State::body;
            break;
        case State::ending:
            if (!line.empty()) throw Error{Code::corrupt, "the stream of changes makes no sense after an argument"};
            end_argument();
            break;
        case State::body:
            break;
    }
    return taken;
}

void CommandScanner::name_command(std::string_view text) {
    command_.name.assign(text);
    for (char& c : command_.name)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
}

std::size_t CommandScanner::take_whole(ByteView bytes) {
    const std::uint8_t* at = bytes.data();
    const std::uint8_t* const end = at + bytes.size();
    // "*3\r\n" or "$5\r\n": the number, or nothing when it is not all there or looks odd.
    const auto number = [&](std::uint8_t sign) -> std::int64_t {
        if (at == end || *at != sign) return -1;
        std::int64_t out = 0;
        const std::uint8_t* digit = at + 1;
        for (; digit < end && *digit >= '0' && *digit <= '9' && digit - at < 12; ++digit)
            out = out * 10 + (*digit - '0');
        if (digit == at + 1 || end - digit < 2 || digit[0] != '\r' || digit[1] != '\n') return -1;
        at = digit + 2;
        return out;
    };
    const std::int64_t arguments = number('*');
    if (arguments <= 0) return 0;
    std::array<std::string_view, 1 + kept_arguments> kept;
    for (std::int64_t i = 0; i < arguments; ++i) {
        const std::int64_t length = number('$');
        if (length < 0 || end - at < length + 2) return 0;
        if (i < static_cast<std::int64_t>(kept.size()))
            kept[static_cast<std::size_t>(i)] = {reinterpret_cast<const char*>(at), static_cast<std::size_t>(length)};
        at += length;
        if (at[0] != '\r' || at[1] != '\n') return 0;
        at += 2;
    }
    name_command(kept[0].substr(0, argument_bytes_max));
    command_.arguments = static_cast<std::uint64_t>(arguments) - 1;
    command_.head.resize(std::min<std::size_t>(command_.arguments, kept_arguments));
    for (std::size_t i = 0; i < command_.head.size(); ++i)
        command_.head[i].assign(kept[1 + i].substr(0, argument_bytes_max));
    return static_cast<std::size_t>(at - bytes.data());
}

void CommandScanner::end_argument() {
    if (number_ == 0) {
        name_command(kept_);
    } else if (number_ <= kept_arguments) {
        command_.head.push_back(kept_);
    }
    ++number_;
    state_ = --arguments_left_ == 0 ? State::count : State::length;
    is_whole_ = arguments_left_ == 0;
}

void StreamState::pass(const Command& command) {
    if (command.name == "SELECT" && !command.head.empty()) {
        std::uint32_t number = 0;
        std::from_chars(command.head[0].data(), command.head[0].data() + command.head[0].size(), number);
        database = number;
    } else if (command.name == "MULTI") {
        in_transaction_ = true;
    } else if (command.name == "EXEC" || command.name == "DISCARD") {
        in_transaction_ = false;
    }
}

}  // namespace holdfast::redis
