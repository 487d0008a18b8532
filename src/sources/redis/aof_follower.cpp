#include "sources/redis/aof_follower.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "sources/redis/aof_folder.h"
#include "sources/redis/aof_watch.h"
#include "sources/redis/clock_watch.h"
#include "sources/redis/commands.h"
#include "sources/redis/journal_form.h"
#include "sources/redis/server_files.h"

namespace holdfast::redis {

namespace {

constexpr Nanoseconds look_every = one_second / 10;
constexpr std::size_t piece_bytes = 4 * 1024 * 1024;

std::uint64_t size_of(const Fd& file) {
    struct stat info {};
    if (::fstat(file.get(), &info) != 0)
        throw Error{Code::source_failed, "an append-only file cannot be looked at: {}", errno_text(errno)};
    return static_cast<std::uint64_t>(info.st_size);
}

class AofFollower final : public Follower {
public:
    AofFollower(const FollowRequest& request, const CaptureOptions& options)
        : world_(request.world), options_(options), path_(append_folder(request.world, options)), once_(request.once) {
        start_.continues = request.from && takes_up(*request.from);
        if (start_.continues) {
            start_.at = *request.from;
            dark_from_ = request.from->time;
        } else {
            capture_base();
            open_new_files();
            ask();
        }
        if (files_.empty()) throw Error{Code::source_failed, "there are no append-only files in {}", path_};
        last_ = start_.at;
        number_ = aof_number(last_.position.at);
        read_ = cut_ = taken_ = boundary_ = aof_offset(last_.position.at);
        goal_ = aof_place(files_.rbegin()->first, size_of(files_.rbegin()->second));
    }

    const Start& start() const override { return start_; }
    std::unique_ptr<Capture> base() override { return std::move(base_); }

    Came read(JournalPiece& into, Nanoseconds wait) override {
        into = {};
        const Nanoseconds until = world_.clock.steady() + wait;
        while (true) {
            world_.stop.check();
            if (taken_ == cut_) look();
            if (is_broken_) return Came::broken;
            if (give(into)) return Came::piece;
            if (once_ && aof_place(number_, read_) >= goal_) return Came::end;
            if (world_.clock.steady() >= until) break;
            world_.clock.sleep(look_every);
        }
        if (quiet_ <= last_.time) return Came::idle;
        last_.time = quiet_;
        into.last = last_;
        return Came::piece;
    }

    std::string broken_because() const override { return start_.why_not; }

private:
    // Opens files before the server removes them; what is open can be read to its end.
    void open_new_files() {
        std::set<std::uint64_t> in_use;
        for (const AofEntry& entry : read_manifest(path_)) {
            if (entry.type == 'b') continue;
            if (entry.type == 'i') in_use.insert(entry.number);
            if (entry.number < number_ || files_.contains(entry.number)) continue;
            Fd file(::open((path_ + "/" + entry.name).c_str(), O_RDONLY | O_CLOEXEC));
            if (!file) continue;
            files_[entry.number] = std::move(file);
        }
        // As in a rewrite. A server that was off begins a new file alone.
        if (in_use.contains(number_) && in_use.contains(number_ + 1)) leads_on_ = number_ + 1;
    }

    bool takes_up(const Moment& from) {
        if (lies_ahead(world_.clock, from.time)) {
            start_.why_not = dated_ahead;
            return false;
        }
        number_ = aof_number(from.position.at);
        open_new_files();
        const auto found = files_.find(number_);
        if (found == files_.end())
            start_.why_not = "the append-only files were rewritten since";
        else if (from.position.line != aof_line(path_, found->second))
            start_.why_not = "the folder of append-only files, or the file that was followed, is another one now";
        else if (size_of(found->second) < aof_offset(from.position.at))
            start_.why_not = "the append-only file became shorter than it was";
        if (!start_.why_not.empty()) files_.clear();
        return start_.why_not.empty();
    }

    void capture_base() {
        AppendFolderCapture captured = capture_append_folder(world_, options_);
        base_ = std::move(captured.capture);
        start_.at = captured.moment;
        number_ = aof_number(start_.at.position.at);
    }

    // A server that was switched off and on is "on" too while its first rewrite goes on: what it does is in a temporary
    // file then, until its one thread, which also answers, has renamed that and written the manifest.
    std::optional<AofWatch::Said> ask() {
        const std::optional<AofWatch::Said> said = watch_.ask();
        const bool is_elsewhere = has_temporary_changes(path_);
        const std::optional<AofWatch::Said> again = said && !is_elsewhere ? watch_.ask() : std::nullopt;
        open_new_files();
        is_written_here_ = said && said->is_on && again && again->is_on && !has_next() &&
                           said->process_and_settings == again->process_and_settings;
        if (is_written_here_) under_ = said->process_and_settings;
        return said;
    }

    bool has_next() const { return files_.upper_bound(number_) != files_.end(); }

    // What is in the file now was done by now.
    void look() {
        const Nanoseconds asked = world_.clock.now();
        const std::optional<AofWatch::Said> said = ask();
        const auto found = files_.find(number_);
        if (found == files_.end()) return fail("the append-only file that was followed is gone");
        const std::uint64_t size = size_of(found->second);
        const Nanoseconds known_until = std::max(last_.time, quiet_);
        const Nanoseconds now = std::max(world_.clock.now(), known_until);
        if (const Nanoseconds step = clock_watch_.step(); step < 0) {
            return fail(clock_was_set(step));
        } else if (step > 0) {
            world_.log.warning(fmt::format("{}: {}", options_.source, clock_was_set(step)));
            if (dark_from_ == 0) dark_from_ = known_until;
            return;
        }
        if (size < read_) return fail("the append-only file became shorter than it was");
        try {
            scan(found->second, std::min(size, read_ + piece_bytes));
            // One command or transaction may be longer than a piece.
            while (boundary_ == cut_ && read_ < size) scan(found->second, std::min(size, read_ + piece_bytes));
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            return fail(error.message());
        }
        if (boundary_ > cut_) {
            if (dark_from_ != 0) {
                pauses_.push_back({dark_from_, now});
                append_dark(marks_, std::exchange(dark_from_, 0));
            }
            stretch_ = {cut_, boundary_, std::exchange(cut_database_, boundary_database_), now};
            records_ = commands_;
            commands_ = 0;
            cut_ = boundary_;
        } else if (has_next()) {
            if (read_ != boundary_) return fail("an append-only file ends within a command");
            go_on();
        } else if (said && !said->is_on) {
            fail("the server writes no append-only files any more (appendonly no)");
        } else if (is_written_here_ && said->is_written && read_ == boundary_) {
            quiet_ = asked;
            dark_from_ = 0;  // nothing happened meanwhile
        }
    }

    void fail(std::string why) {
        is_broken_ = true;
        start_.why_not = std::move(why);
    }

    void scan(const Fd& file, std::uint64_t end) {
        Bytes buffer(static_cast<std::size_t>(end - read_));
        read_bytes(file, read_, buffer);
        const std::uint64_t began = read_;
        scanner_.feed(buffer, [&](const Command& command, std::size_t at) {
            state_.pass(command);
            ++commands_;
            if (state_.in_transaction()) return;
            boundary_ = began + at;
            boundary_database_ = state_.database;
        });
        read_ = end;
    }

    static void read_bytes(const Fd& file, std::uint64_t offset, MutableByteView into) {
        for (std::size_t done = 0; done < into.size();) {
            const ssize_t got =
                ::pread(file.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) throw Error{Code::source_failed, "an append-only file cannot be read: {}", errno_text(errno)};
            done += static_cast<std::size_t>(got);
        }
    }

    bool was_never_off() {
        const std::optional<AofWatch::Said> said = watch_.ask();
        return said && said->is_on && said->process_and_settings == under_;
    }

    // The next file begins where this one ended.
    void go_on() {
        const std::uint64_t next = files_.upper_bound(number_)->first;
        if (next != number_ + 1) return fail("append-only files were rewritten more than once since the last look");
        if (leads_on_ != next && !was_never_off())
            return fail(
                "a new append-only file was begun, and nobody says that the server wrote all to the one before");
        append_jump(marks_, aof_place(number_, cut_), aof_place(next, 0));
        files_.erase(number_);
        number_ = next;
        under_.clear();
        read_ = cut_ = taken_ = boundary_ = 0;
        scanner_ = {};
        state_ = StreamState(aof_database);
        cut_database_ = boundary_database_ = aof_database;
        last_.position = {aof_line(path_, files_.at(number_)), aof_place(number_, 0)};
        has_line_ = false;
    }

    bool give(JournalPiece& into) {
        append(into.bytes, std::exchange(marks_, {}));
        into.pauses = std::exchange(pauses_, {});
        if (!std::exchange(has_line_, true)) append_line(into.bytes, last_.position.line);
        if (taken_ < cut_) {
            const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(cut_ - taken_, piece_bytes));
            if (taken_ == stretch_.begin)
                append_stretch(into.bytes, {aof_place(number_, stretch_.begin), aof_place(number_, stretch_.end),
                                            stretch_.database, stretch_.time});
            const std::size_t at = into.bytes.size();
            into.bytes.resize(at + some);
            read_bytes(files_.at(number_), taken_, MutableByteView(into.bytes).subspan(at));
            taken_ += some;
            if (taken_ == cut_) {
                into.records = records_;
                last_.position.at = aof_place(number_, cut_);
                last_.time = std::max(last_.time, stretch_.time);
            }
        }
        into.last = last_;
        into.ends_within_record = taken_ < cut_;
        return !into.bytes.empty();
    }

    World& world_;
    const CaptureOptions options_;
    const std::string path_;
    const bool once_;
    Start start_;
    std::unique_ptr<Capture> base_;
    std::map<std::uint64_t, Fd> files_;  // by number, from the one at hand on
    std::uint64_t goal_ = 0;
    Moment last_;  // of what read() gave
    Nanoseconds quiet_ = 0;
    bool has_line_ = false;
    bool is_broken_ = false;
    Bytes marks_;                // come before the next stretch
    std::vector<Pause> pauses_;  // among them
    Nanoseconds dark_from_ = 0;  // a pause, of which is nothing known yet
    AofWatch watch_{world_, options_};
    ClockWatch clock_watch_{world_.clock};
    bool is_written_here_ = false;  // at the last look the server wrote to the file at hand, and to no other
    std::string under_;             // process and settings when that was so; empty: it never was
    std::uint64_t leads_on_ = 0;    // number of a file that the server began while it had the one at hand

    // of the file at hand
    std::uint64_t number_ = 0;
    std::uint64_t read_ = 0;      // up to here it was looked at
    std::uint64_t boundary_ = 0;  // up to here there are whole commands outside of transactions
    std::uint64_t cut_ = 0;       // up to here they have a time
    std::uint64_t taken_ = 0;     // up to here they were given
    CommandScanner scanner_;
    StreamState state_;
    std::uint32_t cut_database_ = StreamState::unknown_database;
    std::uint32_t boundary_database_ = StreamState::unknown_database;
    std::uint64_t commands_ = 0;
    Stretch stretch_;
    std::uint64_t records_ = 0;
};

}  // namespace

std::unique_ptr<Follower> follow_append_files(const FollowRequest& request, const CaptureOptions& options) {
    return std::make_unique<AofFollower>(request, options);
}

}  // namespace holdfast::redis
