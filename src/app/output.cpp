#include "app/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "base/utf8.h"

namespace holdfast::app {

void Output::line(std::string_view text) {
    std::string whole(text);
    whole += '\n';
    bytes(as_bytes(whole));
}

void Output::bytes(ByteView data) {
    const std::lock_guard lock(mutex_);
    if (failure_ != 0) return;
    if (!progress_.empty() && stdout_is_terminal()) std::fputs("\r\033[K", stderr);
    if (std::fwrite(data.data(), 1, data.size(), stdout) != data.size()) failure_ = errno;
    if (!progress_.empty() && stdout_is_terminal()) std::fputs(progress_.c_str(), stderr);
}

void Output::say(std::string_view text) {
    if (quiet || is_json()) return;
    to_stderr(printable(text) + "\n");
}

void Output::warn(std::string_view text) {
    if (is_json()) {
        to_stderr(text_of({{"type", "warning"}, {"message", text}}) + "\n");
    } else {
        to_stderr("holdfast: warning: " + printable(text) + "\n");
    }
}

void Output::error(const Error& error) {
    if (is_json()) {
        to_stderr(text_of(json_of(error)) + "\n");
    } else {
        to_stderr(render(error));
    }
}

void Output::to_stderr(std::string_view text) {
    const std::lock_guard lock(mutex_);
    std::fflush(stdout);  // what was printed before comes before
    if (!progress_.empty()) std::fputs("\r\033[K", stderr);
    std::fwrite(text.data(), 1, text.size(), stderr);
    if (other_) other_(text);
    if (!progress_.empty()) std::fputs(progress_.c_str(), stderr);
    std::fflush(stderr);
}

void Output::progress(std::string_view text) {
    const std::lock_guard lock(mutex_);
    if (text.empty() && progress_.empty()) return;
    progress_ = text;
    std::fputs("\r\033[K", stderr);
    std::fputs(progress_.c_str(), stderr);
    std::fflush(stderr);
}

void Output::watch(std::string what, const engine::Progress* progress) {
    const std::lock_guard lock(mutex_);
    watched_what_ = std::move(what);
    watched_ = progress;
}

Output::Sample Output::watched() const {
    const std::lock_guard lock(mutex_);
    if (watched_ == nullptr) return {watched_what_};
    return {watched_what_, watched_->items, watched_->items_total, watched_->bytes, watched_->bytes_total};
}

bool Output::stderr_is_terminal() const { return isatty(STDERR_FILENO) == 1; }
bool Output::stdout_is_terminal() const { return isatty(STDOUT_FILENO) == 1; }

std::size_t Output::terminal_columns() const {
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

void Output::finish() {
    const std::lock_guard lock(mutex_);
    errno = 0;
    if (std::fflush(stdout) != 0 && failure_ == 0) failure_ = errno;
    if (failure_ != 0)
        throw Error{errno_code(failure_, Code::failed), "cannot write to standard output: {}", errno_text(failure_)}
            .unharmed("what the command did stays done; only its report is incomplete");
}

void OutputLog::write(Level level, std::string_view text) {
    switch (level) {
        case Level::debug:
            if (out_.verbose) out_.say(text);
            break;
        case Level::info:
            out_.say(text);
            break;
        case Level::warning:
        case Level::error:
            out_.warn(text);
            break;
    }
}

void Table::add(std::vector<std::string> row) {
    HF_ASSERT(row.size() == columns_.size());
    for (std::string& cell : row) cell = printable(cell);
    rows_.push_back(std::move(row));
}

std::vector<std::string> Table::lines() const {
    std::vector<std::size_t> widths;
    for (const Column& column : columns_) widths.push_back(utf8::columns(column.name));
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], utf8::columns(row[i]));
    }
    const auto text_of_row = [&](const auto& cell) {
        std::string out;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const std::string padding(widths[i] - utf8::columns(cell(i)), ' ');
            if (i > 0) out += "  ";
            out += columns_[i].align == Align::right ? padding + cell(i) : cell(i) + padding;
        }
        out.erase(out.find_last_not_of(' ') + 1);
        return out;
    };
    std::vector<std::string> out{text_of_row([&](std::size_t i) { return columns_[i].name; })};
    for (const auto& row : rows_) out.push_back(text_of_row([&](std::size_t i) { return row[i]; }));
    return out;
}

void Table::print(Output& out) const {
    for (const std::string& line : lines()) out.line(line);
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", human_count(count), count == 1 ? one : many);
}

std::string time_and_rate(double seconds, std::uint64_t bytes) {
    constexpr std::uint64_t worth_a_rate = 1'000'000;
    std::string out = human_duration(static_cast<Nanoseconds>(seconds * one_second));
    if (seconds <= 0 || bytes < worth_a_rate) return out;
    return out + fmt::format(", {}/s", human_bytes(static_cast<std::uint64_t>(static_cast<double>(bytes) / seconds)));
}

void print_findings(Output& out, const std::vector<Finding>& findings) {
    constexpr std::size_t shown_max = 20;
    if (out.is_json()) {
        for (const Finding& finding : findings) out.record(json_of(finding));
        return;
    }
    for (std::size_t i = 0; i < findings.size() && i < shown_max; ++i) {
        const Finding& finding = findings[i];
        out.warn(fmt::format("{} {}{}{}", printable(finding.path), name_of(finding.kind),
                             finding.text.empty() ? "" : ": ", finding.text));
    }
    if (findings.size() > shown_max) out.warn(fmt::format("… and {} more", human_count(findings.size() - shown_max)));
}

}  // namespace holdfast::app
