#include "sources/redis/replay.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "sources/redis/capture.h"
#include "sources/redis/commands.h"
#include "sources/redis/journal_form.h"

namespace holdfast::redis {

namespace {

std::string select_command(std::uint32_t database) {
    const std::string number = fmt::format("{}", database);
    return fmt::format("*2\r\n$6\r\nSELECT\r\n${}\r\n{}\r\n", number.size(), number);
}

// What says nothing about data.
bool is_idle(const Command& command) { return command.name == "PING" || command.name == "REPLCONF"; }

class ChangeReplay final : public Replay, private JournalSink {
public:
    ChangeReplay(const ReplayRequest& request, std::uint32_t database, std::function<void(ByteView)> write,
                 Undated on_undated)
        : request_(request),
          write_(std::move(write)),
          on_undated_(std::move(on_undated)),
          at_(request.from.position.at) {
        state_.database = database;
        reached_ = request.from;
    }

    void begin_lane() override { reader_.begin_lane(); }
    bool feed(ByteView bytes) override { return reader_.feed(bytes); }
    Summary finish() override { return {records_, reached_}; }

private:
    void line(const std::string& name) override { line_ = name; }

    void jump(std::uint64_t end, std::uint64_t begin) override {
        if (is_over_ || begin <= at_) return;
        if (end > at_) throw gap(end);
        at_ = begin;
    }

    Error gap(std::uint64_t end) const {
        return Error{Code::corrupt, "the journal has a gap: changes from {} to {} are missing", at_, end};
    }

    void dark(Nanoseconds from) override { dark_from_ = from; }

    bool begin_stretch(const Stretch& stretch) override {
        begun_ = {};
        const Nanoseconds dark_from = std::exchange(dark_from_, 0);
        if (stretch.database != StreamState::unknown_database) state_.database = stretch.database;
        if (request_.until && stretch.time > *request_.until && stretch.end > at_) {
            if (dark_from != 0 && dark_from < *request_.until && on_undated_) on_undated_(dark_from, stretch.time);
            return false;
        }
        if (request_.until_before && stretch.begin >= request_.until_before->at) return false;
        if (stretch.begin > at_) throw gap(stretch.begin);
        return !is_over_;
    }

    void stretch_bytes(ByteView bytes) override { append(begun_, bytes); }
    void void_stretch() override { begun_ = {}; }

    void end_stretch(const Stretch& stretch) override {
        Bytes kept;                 // commands that are applied
        std::size_t kept_safe = 0;  // of them, up to the last place outside a transaction
        std::uint64_t safe = at_;   // that place
        std::uint64_t commands = 0, commands_safe = 0;
        std::size_t before = 0;
        CommandScanner scanner;
        std::uint32_t database = state_.database;
        std::string first;  // of the commands that are applied; in Redis 7 a transaction selects within
        scanner.feed(begun_, [&](const Command& command, std::size_t end) {
            const std::size_t begin = std::exchange(before, end);
            const std::uint64_t place = stretch.begin + end;
            if (is_over_ || (request_.until_before && place >= request_.until_before->at)) {
                is_over_ = true;
                return;
            }
            state_.pass(command);
            if (place <= at_) {
                database = state_.database;
                return;
            }
            if (!is_idle(command)) {
                append(kept, ByteView(begun_).subspan(begin, end - begin));
                ++commands;
                if (first.empty() && command.name != "MULTI") first = command.name;
            }
            if (state_.in_transaction()) return;
            safe = place;
            kept_safe = kept.size();
            commands_safe = commands;
        });
        begun_.clear();
        if (stretch.end <= at_) return;
        if (kept_safe > 0) {
            if (first != "SELECT") select(database);
            write_(ByteView(kept).first(kept_safe));
            selected_ = state_.database;
            records_ += commands_safe;
        }
        at_ = safe;
        reached_ = {{line_, at_}, stretch.time};
    }

    void select(std::uint32_t database) {
        if (database == StreamState::unknown_database)
            throw Error{Code::corrupt, "the journal does not say which database was selected at {}", at_}.hint(
                "Restore from an earlier snapshot, whose journal does.");
        if (selected_ != database) write_(as_bytes(select_command(database)));
    }

    const ReplayRequest request_;
    const std::function<void(ByteView)> write_;
    const Undated on_undated_;
    Nanoseconds dark_from_ = 0;
    JournalReader reader_{*this};
    std::uint64_t at_;  // everything up to here is applied
    std::string line_;
    StreamState state_;
    std::uint32_t selected_ = StreamState::unknown_database;
    Bytes begun_;
    bool is_over_ = false;
    std::uint64_t records_ = 0;
    Moment reached_;
};

// Deletions are counted by database, second by second.
class HistoryReplay final : public Replay, private JournalSink {
public:
    explicit HistoryReplay(const HistoryRequest& request) : request_(request) {}
    void begin_lane() override { reader_.begin_lane(); }
    bool feed(ByteView bytes) override { return reader_.feed(bytes); }
    Summary finish() override {
        tell_deletions();
        return {records_, reached_};
    }

private:
    static constexpr std::uint64_t many = 100;

    void line(const std::string& name) override { line_ = name; }
    bool begin_stretch(const Stretch& stretch) override {
        if (stretch.database != StreamState::unknown_database) state_.database = stretch.database;
        scanner_ = {};
        passed_ = 0;
        stretch_ = stretch;
        return true;
    }
    void stretch_bytes(ByteView bytes) override {
        scanner_.feed(bytes, [&](const Command& command, std::size_t end) {
            look(command, {line_, stretch_.begin + passed_ + end});
        });
        passed_ += bytes.size();
    }
    void end_stretch(const Stretch& stretch) override {
        if (deleted_ > 0 && stretch.time - deleted_since_ > one_second) tell_deletions();
        reached_ = {{line_, stretch.end}, stretch.time};
    }
    void void_stretch() override {
        deleted_ = 0;
        scanner_ = {};
        looked_to_ = std::min(looked_to_, stretch_.begin);
    }

    std::string item() const {
        return state_.database == StreamState::unknown_database ? "" : fmt::format("{}", state_.database);
    }

    void look(const Command& command, const Position& position) {
        state_.pass(command);
        if (position.at <= looked_to_) return;  // a lane may begin with what the one before had
        looked_to_ = position.at;
        ++records_;
        if (command.name == "FLUSHALL" || command.name == "FLUSHDB") {
            tell_deletions();
            request_.each({stretch_.time, position, "truncate", command.name == "FLUSHALL" ? "" : item(), 0});
        } else if (command.name == "SWAPDB") {
            request_.each({stretch_.time, position, "drop", command.head.empty() ? "" : command.head[0], 0});
        } else if (command.name == "DEL" || command.name == "UNLINK") {
            if (deleted_ > 0 && deleted_in_ != item()) tell_deletions();
            if (deleted_ == 0) {
                deleted_in_ = item();
                deleted_since_ = stretch_.time;
                deleted_at_ = position;
            }
            deleted_ += command.arguments;
        }
    }

    void tell_deletions() {
        if (deleted_ >= many) request_.each({deleted_since_, deleted_at_, "delete", deleted_in_, deleted_});
        deleted_ = 0;
    }

    const HistoryRequest request_;
    JournalReader reader_{*this};
    CommandScanner scanner_;
    StreamState state_;
    Stretch stretch_;
    std::uint64_t passed_ = 0;
    std::uint64_t looked_to_ = 0;
    std::string line_;
    std::uint64_t deleted_ = 0;
    std::string deleted_in_;
    Nanoseconds deleted_since_ = 0;
    Position deleted_at_;
    std::uint64_t records_ = 0;
    Moment reached_;
};

}  // namespace

std::uint32_t selected_in(const std::optional<Facts>& facts) {
    std::uint32_t out = StreamState::unknown_database;
    if (!facts) return out;
    if (const auto text = facts->value("", stream_database_fact))
        std::from_chars(text->data(), text->data() + text->size(), out);
    return out;
}

std::unique_ptr<Replay> replay_into_file(const ReplayRequest& request, std::uint32_t database,
                                         std::function<void(ByteView)> write, Undated on_undated) {
    return std::make_unique<ChangeReplay>(request, database, std::move(write), std::move(on_undated));
}

std::unique_ptr<Replay> history(const HistoryRequest& request) { return std::make_unique<HistoryReplay>(request); }

}  // namespace holdfast::redis
