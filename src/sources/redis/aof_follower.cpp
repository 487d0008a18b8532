#include "sources/redis/aof_follower.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "sources/redis/aof_folder.h"
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
        } else {
            capture_base();
            open_new_files();
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
        for (const AofEntry& entry : read_manifest(path_)) {
            if (entry.type == 'b' || entry.number < number_ || files_.contains(entry.number)) continue;
            Fd file(::open((path_ + "/" + entry.name).c_str(), O_RDONLY | O_CLOEXEC));
            if (file) files_[entry.number] = std::move(file);
        }
    }

    bool takes_up(const Moment& from) {
        if (from.position.line != AofFolder(path_).identity()) {
            start_.why_not = "the folder of append-only files is another one now";
            return false;
        }
        number_ = aof_number(from.position.at);
        open_new_files();
        const std::uint64_t offset = aof_offset(from.position.at);
        const auto found = files_.find(number_);
        std::array<char, 2> end{'\r', '\n'};
        const bool is_there = found != files_.end() && size_of(found->second) >= offset &&
                              (offset == 0 || ::pread(found->second.get(), end.data(), end.size(),
                                                      static_cast<off_t>(offset - end.size())) == 2) &&
                              end == std::array{'\r', '\n'};
        if (!is_there) start_.why_not = "the append-only files were rewritten or replaced since";
        if (!is_there) files_.clear();
        return is_there;
    }

    void capture_base() {
        AppendFolderCapture captured = capture_append_folder(world_, options_);
        base_ = std::move(captured.capture);
        start_.at = captured.moment;
        number_ = aof_number(start_.at.position.at);
    }

    // What is in the file now was done by now.
    void look() {
        open_new_files();
        const auto found = files_.find(number_);
        if (found == files_.end()) return fail("the append-only file that was followed is gone");
        const bool has_next = files_.upper_bound(number_) != files_.end();
        const std::uint64_t size = size_of(found->second);
        const Nanoseconds now = world_.clock.now();
        if (size < read_) return fail("the append-only file became shorter than it was");
        scan(found->second, std::min(size, read_ + piece_bytes));
        // One command or transaction may be longer than a piece.
        while (boundary_ == cut_ && read_ < size) scan(found->second, std::min(size, read_ + piece_bytes));
        if (boundary_ > cut_) {
            stretch_ = {cut_, boundary_, std::exchange(cut_database_, boundary_database_), now};
            records_ = commands_;
            commands_ = 0;
            cut_ = boundary_;
        } else if (has_next) {
            if (read_ != boundary_) return fail("an append-only file ends within a command");
            go_on();
        } else if (read_ == boundary_) {
            quiet_ = now;
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

    // The next file begins where this one ended.
    void go_on() {
        const std::uint64_t next = files_.upper_bound(number_)->first;
        if (next != number_ + 1) return fail("append-only files were rewritten more than once since the last look");
        append_jump(jump_, aof_place(number_, cut_), aof_place(next, 0));
        files_.erase(number_);
        number_ = next;
        read_ = cut_ = taken_ = boundary_ = 0;
        scanner_ = {};
        state_ = {};
        cut_database_ = boundary_database_ = StreamState::unknown_database;
        last_.position.at = aof_place(number_, 0);
    }

    bool give(JournalPiece& into) {
        if (!std::exchange(has_line_, true)) append_line(into.bytes, last_.position.line);
        append(into.bytes, std::exchange(jump_, {}));
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
    Bytes jump_;

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
