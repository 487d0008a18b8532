#include "sources/command/output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::command {

namespace {

// How often a silent command is left to look whether we are to stop.
constexpr std::chrono::milliseconds stop_wait_max{200};

std::string last_lines(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    constexpr std::size_t shown_max = 2000;
    if (text.size() > shown_max) text.erase(0, text.size() - shown_max);
    return text;
}

}  // namespace

Output::Output(World& world, const OutputOptions& options) : world_(world), options_(options) {
    if (options_.timeout) deadline_ = std::chrono::steady_clock::now() + *options_.timeout;
    if (options_.run == std::vector<std::string>{"-"}) return;
    ChildOptions child;
    child.argv = options_.run;
    child_.emplace(child);
}

std::size_t Output::read(MutableByteView into) {
    std::size_t done = 0;
    while (done < into.size() && !is_over_) {
        world_.stop.check();
        const Instant now = std::chrono::steady_clock::now();
        if (deadline_ && now >= *deadline_) {
            failure_ = fmt::format("took longer than {}", human_duration(options_.timeout->count()));
            if (child_) child_->kill(SIGKILL);
            is_over_ = true;
            break;
        }
        const Instant look = now + stop_wait_max;
        const auto got = read_some(into.subspan(done), deadline_ ? std::min(look, *deadline_) : look);
        if (!got) continue;
        done += *got;
        bytes_ += *got;
        if (*got == 0) end();
    }
    return done;
}

std::optional<std::size_t> Output::read_some(MutableByteView into, Instant until) {
    if (child_) return child_->read(into, until);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&input, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready == 0 || (ready < 0 && errno == EINTR)) return std::nullopt;
    const ssize_t got = ::read(STDIN_FILENO, into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EINTR || errno == EAGAIN) return std::nullopt;
    throw Error{Code::source_failed, "cannot read standard input: {}", errno_text(errno)};
}

// It has closed its output; how it ends decides whether that was all.
void Output::end() {
    is_over_ = true;
    while (child_) {
        const Instant look = std::chrono::steady_clock::now() + stop_wait_max;
        const auto status = child_->wait_until(deadline_ ? std::min(look, *deadline_) : look);
        if (status) {
            if (!status->ok()) failure_ = (status->signal != 0 ? "was " : "ended with ") + status->text();
            break;
        }
        world_.stop.check();
        if (deadline_ && std::chrono::steady_clock::now() >= *deadline_) {
            failure_ = fmt::format("took longer than {}", human_duration(options_.timeout->count()));
            child_->kill(SIGKILL);
            break;
        }
    }
    if (!failure_ && bytes_ == 0 && !options_.allow_empty) failure_ = child_ ? "printed nothing" : "was empty";
}

std::optional<std::string> Output::failure() {
    if (!is_over_) return "was not read to its end";
    if (!failure_ || !child_) return failure_;
    child_->wait();
    const std::string tail = last_lines(child_->stderr_tail());
    return tail.empty() ? *failure_ : *failure_ + ": " + tail;
}

}  // namespace holdfast::command
