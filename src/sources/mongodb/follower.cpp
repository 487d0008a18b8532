#include "sources/mongodb/follower.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sources/mongodb/canary.h"
#include "sources/mongodb/chosen.h"
#include "sources/mongodb/oplog.h"
#include "sources/mongodb/scope.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t piece_bytes = 4 * 1024 * 1024;
constexpr std::int64_t await_milliseconds_max = 1000;
constexpr Nanoseconds millisecond = one_second / 1000;
constexpr Nanoseconds quiet_beat =
    10 * one_second;  // how often a server without heartbeats of its own is asked the time
constexpr auto silence_max_milliseconds = "20000";
constexpr int reconnects_max = 60;
constexpr Nanoseconds set_back_max = one_second;         // by which entries may be dated before those that they follow
constexpr Nanoseconds reopened_every = one_second / 10;  // a cursor that the server ended

class OplogFollower final : public Follower {
public:
    OplogFollower(CaptureOptions options, const FollowRequest& request)
        : world_(request.world), options_(std::move(options)), once_(request.once) {
        // The server answers every second; one that says nothing for long is gone, though nobody closed the connection.
        if (options_.endpoint.uri().find("ocketTimeoutMS=") == std::string::npos)
            options_.endpoint.set("socketTimeoutMS", silence_max_milliseconds);
        connect();
        refuse_sharded(*client_);
        require_oplog(*client_);
        line_ = line_of(*client_);
        const auto newest = newest_entry(*client_);
        if (!newest)
            throw Error{Code::source_failed, "the oplog of {} is empty", options_.endpoint.shown()}.hint(
                "Write something once; or this user may not read it: the role `read` on `local`, or `backup`, may.");
        const OplogEntry now = parse_entry(*newest);
        until_ = now.ts;
        const bool goes_on = request.from && continues(*request.from);
        look_for_chosen(goes_on);
        if (!goes_on) {
            start_.at = now.moment(line_);
            last_ = start_.at;
            last_entry_ = *newest;
        }
        open_cursor();
    }

    const Start& start() const override { return start_; }
    std::string broken_because() const override { return why_broken_; }

    Came read(JournalPiece& into, Nanoseconds wait) override {
        into = {};
        into.last = last_;
        if (is_over_) return Came::broken;
        if (!once_) canary_.sing_if_due();
        if (once_ && last_.position.at >= until_) return Came::end;
        const Nanoseconds deadline = world_.clock.steady() + wait;
        while (true) {
            world_.stop.check();
            try {
                const Came came = fill(into);
                if (came == Came::broken || into.records > 0 || last_.position.at > into.last.position.at)
                    return give(into, came);
            } catch (const Error& error) {
                if (error.code() != Code::source_failed) throw;
                if (into.records > 0) {
                    disconnect();
                    return give(into, Came::piece);
                }
                if (!reconnect(error)) return Came::broken;
            }
            if (once_ && last_.position.at >= until_) return Came::end;
            if (world_.clock.steady() >= deadline) return quiet(into);
        }
    }

private:
    // What was followed already may have been dropped since, and just then what is in the oplog is wanted.
    void look_for_chosen(bool goes_on) {
        try {
            tell_of_idle(*client_, refuse_missing(*client_, options_, scope_));
        } catch (const Error& error) {
            if (!goes_on || error.code() != Code::source_failed) throw;
            world_.log.warning(error.message());
        }
    }

    // A cursor does not outlive its client.
    void disconnect() {
        cursor_.reset();
        client_.reset();
    }

    void connect() {
        disconnect();
        client_ = std::make_unique<Client>(world_, options_.endpoint, Code::source_failed);
    }

    // Proves that the log goes on from `from`, and says in start_ why not.
    bool continues(const Moment& from) {
        const auto [line, term] = split_line(from.position.line);
        if (line != line_) {
            start_.why_not = fmt::format("it is the history of another set: {} instead of {}", line_, line);
            return false;
        }
        const auto [found, next] = entry_at(from.position.at);
        if (!found) {
            start_.why_not = why_absent(from.position.at);
            return false;
        }
        const OplogEntry entry = parse_entry(*found);
        // Earlier versions kept no term.
        if (term == 0 ? entry.time > from.time : entry.term != term) {
            start_.why_not =
                "another change has the time stamp of the last one that is known: it was taken back by an election";
            return false;
        }
        if (next) {
            start_.why_not = why_not_next(parse_entry(*next), from.time);
            if (!start_.why_not.empty()) return false;
        }
        start_ = {true, "", from};
        last_ = from;
        last_entry_ = *found;
        return true;
    }

    // Empty: the entry belongs to the same window as what was known by `time`. A replay ends at the first entry that is
    // dated after what is wanted, so none may be dated much before another.
    std::string why_not_next(const OplogEntry& entry, Nanoseconds time) const {
        if (scope_.is_entered_by(entry))
            return fmt::format(
                "{} was renamed to {}, so that a collection that was not captured has become one that is",
                printable(text_of(entry.object, "renameCollection")), printable(text_of(entry.object, "to")));
        if (time - entry.time > set_back_max)
            return fmt::format(
                "the server's clock was set back by {} s, or that of a new primary is so far behind the one before",
                (time - entry.time + one_second / 2) / one_second);
        return "";
    }

    // The first entry at or behind a time stamp, when it is that one, and the one behind it.
    std::pair<std::optional<Bytes>, std::optional<Bytes>> entry_at(std::uint64_t at) {
        std::optional<Bytes> found, next;
        {
            Builder query;
            const Bytes plain = oplog_query(at, std::nullopt, false);
            for (const Element& each : Elements(plain)) query.add(each);
            Cursor cursor(*client_, "local", query.i64("limit", 2).done(), {.first_batch = 2});
            if (const ByteView document = cursor.next(); !document.empty()) found = to_bytes(document);
            if (const ByteView document = cursor.next(); !document.empty()) next = to_bytes(document);
        }
        if (found && parse_entry(*found).ts == at) return {std::move(found), std::move(next)};
        return {};
    }

    std::string why_absent(std::uint64_t at) {
        const auto oldest = oldest_entry(*client_);
        return oldest && parse_entry(*oldest).ts > at
                   ? fmt::format("the oplog begins later, at {}", rfc3339(parse_entry(*oldest).time))
                   : "the last change that is known is not in the oplog any more: it was taken back by an election";
    }

    void open_cursor() {
        Builder query;
        const Bytes plain = oplog_query(last_.position.at, std::nullopt, true);
        for (const Element& each : Elements(plain)) query.add(each);
        if (is_set_member(*client_)) query.document("readConcern", Builder().text("level", "majority").done());
        // The one entry that is known comes first; the cursor stays open whatever follows.
        cursor_ = std::make_unique<Cursor>(*client_, "local", query.done(),
                                           Cursor::Options{.first_batch = 1, .await = await_milliseconds_max});
        is_proved_ = false;
    }

    bool prove(ByteView first) {
        is_proved_ = true;
        return prove_same(first);
    }

    bool prove_same(ByteView first) {
        if (equal(first, last_entry_)) return true;
        const OplogEntry entry = parse_entry(first);
        why_broken_ = entry.ts == last_.position.at ? "an election took changes back that were followed already"
                                                    : "the oplog rolled over before all of it was read";
        return false;
    }

    Came fill(JournalPiece& into) {
        if (!client_) {
            connect();
            open_cursor();
        }
        if (!cursor_) open_cursor();
        // What is not the source's counts, too: time goes on by it.
        for (std::size_t bytes = 0; bytes < piece_bytes;) {
            const ByteView document = cursor_->next();
            if (document.empty()) {
                if (!cursor_->is_open()) {
                    cursor_.reset();
                    world_.clock.sleep(reopened_every);
                }
                return into.records > 0 ? Came::piece : Came::idle;
            }
            if (!is_proved_) {
                if (!prove(document)) return Came::broken;
                continue;
            }
            bytes += document.size();
            const OplogEntry entry = parse_entry(document);
            if (std::string why = why_not_next(entry, last_.time); !why.empty()) {
                why_broken_ = std::move(why);
                is_over_ = true;
                const bool is_piece = into.records > 0 || last_.position.at > into.last.position.at;
                return is_piece ? Came::piece : Came::broken;
            }
            // Of entries that are made at once, the later one may have been dated first.
            last_ = {entry.position(line_), std::max(entry.time, last_.time)};
            last_entry_ = to_bytes(document);
            last_asked_ = world_.clock.steady();
            if (const ByteView own = scope_.own_part(entry, room_); !own.empty()) {
                append(into.bytes, own);
                ++into.records;
            }
            if (once_ && entry.ts >= until_) break;
        }
        return Came::piece;
    }

    Came give(JournalPiece& into, Came came) {
        if (came == Came::broken) return came;
        into.last = last_;
        return Came::piece;
    }

    // A set writes a heartbeat every ten seconds; where none is written, the server's clock says until when nothing was.
    Came quiet(JournalPiece& into) {
        if (world_.clock.steady() - last_asked_ < quiet_beat || !client_ || is_set_member(*client_)) return Came::idle;
        last_asked_ = world_.clock.steady();
        const Reply hello = client_->ask("admin", command("hello", 1));
        const auto now = hello.ok() ? find(hello.document, "localTime") : std::nullopt;
        if (!now || !now->milliseconds()) return Came::idle;
        // What was made before this moment would have come by now: ask once more.
        if (const Came came = fill(into); came != Came::idle) return give(into, came);
        last_.time = std::max(last_.time, *now->milliseconds() * millisecond);
        into.last = last_;
        return Came::piece;
    }

    // Elections and restarts take a while; the log goes on where it was, or the proof says that it does not.
    bool reconnect(const Error& error) {
        disconnect();
        if (++reconnects_ > reconnects_max) throw error;
        world_.log.warning(fmt::format("following {}: {}; trying again", options_.endpoint.shown(), error.message()));
        world_.clock.sleep(one_second);
        try {
            connect();
            open_cursor();
            const ByteView first = cursor_->next();
            if (first.empty() ? !still_has_last() : !prove(first)) return false;
            reconnects_ = 0;
        } catch (const Error& again) {
            if (again.code() != Code::source_failed) throw;
            disconnect();
        }
        return true;
    }

    // What a new primary knows that most have may for a while be behind what it has: then nothing comes yet.
    bool still_has_last() {
        const auto there = entry_at(last_.position.at).first;
        if (there) return prove_same(*there);
        why_broken_ = why_absent(last_.position.at);
        return false;
    }

    World& world_;
    CaptureOptions options_;
    const Scope scope_{options_};
    Bytes room_;
    const bool once_;
    Canary canary_{world_, options_};
    std::unique_ptr<Client> client_;
    std::unique_ptr<Cursor> cursor_;
    Start start_;
    std::string line_;
    Moment last_;
    Bytes last_entry_;
    std::uint64_t until_ = 0;
    std::string why_broken_;
    bool is_proved_ = false;
    bool is_over_ = false;
    Nanoseconds last_asked_ = 0;
    int reconnects_ = 0;
};

}  // namespace

std::unique_ptr<Follower> follow(const CaptureOptions& options, const FollowRequest& request) {
    return std::make_unique<OplogFollower>(options, request);
}

}  // namespace holdfast::mongodb
