#include "app/progress_line.h"

#include <chrono>
#include <cmath>

#include "base/text.h"
#include "base/utf8.h"

namespace holdfast::app {

double Rate::update(Nanoseconds elapsed, std::uint64_t bytes) {
    constexpr double memory_seconds = 3;
    const double seconds = static_cast<double>(elapsed - last_time_) / one_second;
    if (seconds <= 0) return per_second_;
    const double now = bytes > last_bytes_ ? static_cast<double>(bytes - last_bytes_) / seconds : 0;
    const double weight = last_time_ == 0 ? 1 : 1 - std::exp(-seconds / memory_seconds);
    per_second_ += weight * (now - per_second_);
    last_time_ = elapsed;
    last_bytes_ = bytes;
    return per_second_;
}

std::string progress_text(const std::string& what, const ProgressSample& sample, double bytes_per_second) {
    std::string out = what;
    const auto part = [&](const std::string& text) { out += (out.empty() ? "" : "  ") + text; };
    if (sample.bytes_total > 0) {
        const double share = std::min(1.0, static_cast<double>(sample.bytes) / static_cast<double>(sample.bytes_total));
        part(fmt::format("{} %", static_cast<int>(share * 100)));
        part(fmt::format("{} of {}", human_bytes(sample.bytes), human_bytes(sample.bytes_total)));
    } else {
        part(human_bytes(sample.bytes));
    }
    if (sample.items_total > 0) {
        part(fmt::format("{} of {} items", human_count(sample.items), human_count(sample.items_total)));
    } else {
        part(counted(sample.items, "item", "items"));
    }
    if (bytes_per_second >= 1) part(fmt::format("{}/s", human_bytes(static_cast<std::uint64_t>(bytes_per_second))));
    if (sample.bytes_total > sample.bytes && bytes_per_second >= 1) {
        const double seconds = static_cast<double>(sample.bytes_total - sample.bytes) / bytes_per_second;
        constexpr double seconds_max = 30.0 * 86400;  // beyond it the guess says nothing
        if (seconds < seconds_max)
            part(human_duration(static_cast<Nanoseconds>(std::ceil(seconds)) * one_second) + " left");
    } else {
        part(human_duration(sample.elapsed / one_second * one_second));
    }
    return out;
}

ProgressLine::ProgressLine(Output& out, const Clock& clock, const engine::Progress& progress, std::string what)
    : out_(out),
      clock_(clock),
      progress_(progress),
      what_(std::move(what)),
      begin_(clock.steady()),
      on_terminal_(out.for_people() && out.stderr_is_terminal()) {
    out.watch(what_, &progress_);
    const bool wanted = out.is_json() ? out.verbose : !out.quiet;
    if (!wanted) return;
    const Nanoseconds interval = on_terminal_ ? one_second / 10 : out.is_json() ? one_second : 10 * one_second;
    thread_ = std::jthread([this, interval](const std::stop_token& token) { run(token, interval); });
}

ProgressLine::~ProgressLine() {
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
    if (on_terminal_) out_.progress("");
    out_.watch("", nullptr);
}

void ProgressLine::run(const std::stop_token& token, Nanoseconds interval) {
    std::unique_lock lock(mutex_);
    while (!token.stop_requested()) {
        wake_.wait_for(lock, token, std::chrono::nanoseconds(interval), [] { return false; });
        if (!token.stop_requested()) show();
    }
}

ProgressSample ProgressLine::sample() const {
    return {progress_.items.load(std::memory_order_relaxed), progress_.items_total.load(std::memory_order_relaxed),
            progress_.bytes.load(std::memory_order_relaxed), progress_.bytes_total.load(std::memory_order_relaxed),
            clock_.steady() - begin_};
}

void ProgressLine::show() {
    const ProgressSample now = sample();
    if (out_.is_json()) {
        out_.record({{"type", "progress"},
                     {"what", what_},
                     {"items", now.items},
                     {"items_total", now.items_total},
                     {"bytes", now.bytes},
                     {"bytes_total", now.bytes_total},
                     {"seconds", static_cast<double>(now.elapsed) / one_second}});
        return;
    }
    std::string text = progress_text(printable(what_), now, rate_.update(now.elapsed, now.bytes));
    if (!on_terminal_) {
        out_.say(text);
        return;
    }
    const std::size_t columns = out_.terminal_columns();
    while (!text.empty() && utf8::columns(text) >= columns) {
        do {
            text.pop_back();
        } while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80);
    }
    out_.progress(text);
}

}  // namespace holdfast::app
