#include "testing/memory_log.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast::testing_support {

namespace {

Bytes record_of(const MemoryLog::Line& line) {
    Bytes body, out;
    ByteWriter writer(body);
    writer.u64(line.number);
    writer.zigzag(line.time);
    writer.string(line.text);
    ByteWriter(out).u32(static_cast<std::uint32_t>(body.size()));
    append(out, body);
    return out;
}

// The memory source's capture of "/state", with its moment.
class LoggedCapture final : public Capture {
public:
    LoggedCapture(const MemoryLog& log, World& world)
        : moment_(log.end()),
          tree_{{"/state", {log.state(moment_.time), moment_.time}}},
          source_(tree_),
          inner_(source_.begin({world})) {}
    bool next(Batch& batch) override { return inner_->next(batch); }
    std::optional<Finding> complete(const Batch& batch, Item& item) override { return inner_->complete(batch, item); }
    Opened open(const Batch& batch, const Batch::Entry& entry) override { return inner_->open(batch, entry); }
    CaptureSummary finish() override {
        CaptureSummary out = inner_->finish();
        out.moment = moment_;
        return out;
    }

private:
    const Moment moment_;
    const MemoryTree tree_;
    MemorySource source_;
    std::unique_ptr<Capture> inner_;
};

class LogFollower final : public Follower {
public:
    LogFollower(MemoryLog& log, const FollowRequest& request, std::size_t cut_every, std::size_t& fail_after,
                bool bring_base)
        : log_(log),
          world_(request.world),
          once_(request.once),
          cut_every_(cut_every),
          fail_after_(fail_after),
          bring_base_(bring_base),
          end_(log.end()),
          line_(log.line_id()) {
        if (request.from && request.from->position.line == line_ && request.from->position.at >= log.first_kept()) {
            start_ = {true, "", *request.from};
        } else {
            start_ = {false, request.from ? "the log begins later" : "it was not followed before", end_};
        }
        next_ = start_.at.position.at;
        last_ = start_.at;
    }
    const Start& start() const override { return start_; }
    std::unique_ptr<Capture> base() override {
        return bring_base_ ? std::make_unique<LoggedCapture>(log_, world_) : nullptr;
    }
    Came read(JournalPiece& into, Nanoseconds wait) override {
        if (fail_after_ != ~std::size_t{0} && fail_after_-- == 0) {
            fail_after_ = ~std::size_t{0};
            throw Error{Code::source_failed, "the connection was lost"};
        }
        if (log_.line_id() != line_) return Came::broken;
        if (rest_.empty()) {
            const auto lines = log_.from(next_, 3);
            if (lines.empty() || (once_ && next_ >= end_.position.at)) {
                if (once_) return Came::end;
                world_.clock.sleep(wait);
                return Came::idle;
            }
            for (const MemoryLog::Line& line : lines) {
                append(rest_, record_of(line));
                next_ = line.number + 1;
                ends_.push_back({rest_.size(), {{line_, next_}, line.time}});
            }
        }
        const std::size_t now = cut_every_ == 0 ? rest_.size() : std::min(cut_every_, rest_.size());
        into.bytes = to_bytes(ByteView(rest_).first(now));
        rest_ = to_bytes(ByteView(rest_).subspan(now));
        into.ends_within_record = true;
        while (!ends_.empty() && ends_.front().first <= now) {
            last_ = ends_.front().second;
            ++into.records;
            into.ends_within_record = ends_.front().first != now;
            ends_.erase(ends_.begin());
        }
        for (auto& [at, moment] : ends_) at -= now;
        into.last = last_;
        return Came::piece;
    }
    std::string broken_because() const override { return "another history began"; }

private:
    MemoryLog& log_;
    World& world_;
    const bool once_;
    const std::size_t cut_every_;
    std::size_t& fail_after_;
    const bool bring_base_;
    const Moment end_;
    const std::string line_;
    Start start_;
    std::uint64_t next_ = 0;
    Moment last_;
    Bytes rest_;
    std::vector<std::pair<std::size_t, Moment>> ends_;  // where in rest_ records end
};

class LogReplay final : public Replay {
public:
    LogReplay(std::string& state, const ReplayRequest& request) : state_(state), request_(request) {}
    void begin_lane() override { rest_.clear(); }
    bool feed(ByteView bytes) override {
        append(rest_, bytes);
        std::size_t at = 0;
        while (rest_.size() - at >= 4) {
            const std::size_t length = ByteReader(ByteView(rest_).subspan(at), "a record").u32();
            if (rest_.size() - at < 4 + length) break;
            ByteReader reader(ByteView(rest_).subspan(at + 4, length), "a record");
            at += 4 + length;
            const std::uint64_t number = reader.u64();
            const Nanoseconds time = reader.zigzag();
            if (number < request_.from.position.at || number < applied_) continue;
            if (request_.until && time > *request_.until) return false;
            state_ += reader.string();
            applied_ = number + 1;
            ++summary_.records;
            summary_.reached = {{"", number + 1}, time};
        }
        rest_ = to_bytes(ByteView(rest_).subspan(at));
        return true;
    }
    Summary finish() override { return summary_; }

private:
    std::string& state_;
    const ReplayRequest request_;
    Bytes rest_;
    std::uint64_t applied_ = 0;
    Summary summary_;
};

}  // namespace

void MemoryLog::add(const std::string& text) {
    const std::lock_guard lock(mutex_);
    lines_.push_back({lines_.size(), clock_.now(), text});
}

void MemoryLog::drop_before(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    first_kept_ = number;
}

void MemoryLog::start_again(const std::string& line) {
    const std::lock_guard lock(mutex_);
    line_ = line;
    first_kept_ = lines_.size();
}

Moment MemoryLog::end() const {
    const std::lock_guard lock(mutex_);
    return {{line_, lines_.size()}, lines_.empty() ? 0 : lines_.back().time};
}

std::string MemoryLog::state(Nanoseconds until) const {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const Line& line : lines_)
        if (line.time <= until) out += line.text;
    return out;
}

std::string MemoryLog::line_id() const {
    const std::lock_guard lock(mutex_);
    return line_;
}

std::uint64_t MemoryLog::first_kept() const {
    const std::lock_guard lock(mutex_);
    return first_kept_;
}

std::vector<MemoryLog::Line> MemoryLog::from(std::uint64_t number, std::size_t count_max) const {
    const std::lock_guard lock(mutex_);
    std::vector<Line> out;
    for (std::uint64_t i = number; i < lines_.size() && out.size() < count_max; ++i) out.push_back(lines_[i]);
    return out;
}

std::unique_ptr<Capture> LoggedSource::begin(const CaptureRequest& request) {
    return std::make_unique<LoggedCapture>(log_, request.world);
}

std::unique_ptr<Follower> LoggedSource::follow(const FollowRequest& request) {
    return std::make_unique<LogFollower>(log_, request, cut_every, fail_after, bring_base);
}

std::unique_ptr<Replay> LoggedTarget::replay(const ReplayRequest& request) {
    return std::make_unique<LogReplay>(state(), request);
}

}  // namespace holdfast::testing_support
