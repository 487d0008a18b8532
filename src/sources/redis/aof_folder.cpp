#include "sources/redis/aof_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "sources/redis/commands.h"

namespace holdfast::redis {

namespace {

constexpr std::string_view manifest_end = ".manifest";
constexpr std::size_t piece_bytes = 1024 * 1024;
constexpr std::uint64_t manifest_bytes_max = 1024 * 1024;
constexpr int attempts_max = 20;

Fd open_file(const std::string& path) {
    Fd out(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!out) throw Error{Code::source_failed, "cannot open {}: {}", path, errno_text(errno)};
    return out;
}

// "file NAME seq NUMBER type T"; a name with blanks is in quotes.
AofEntry parse_entry(const std::string& line, const std::string& path) {
    const auto refuse = [&]() -> Error {
        return Error{Code::source_failed, "{} has a line that makes no sense: {}", path, printable(line)};
    };
    AofEntry out;
    std::string_view left = line;
    const auto take = [&](std::string_view word) {
        if (!left.starts_with(word)) throw refuse();
        left.remove_prefix(word.size());
    };
    take("file ");
    const bool is_quoted = left.starts_with('"');
    if (is_quoted) left.remove_prefix(1);
    const std::size_t end = left.find(is_quoted ? '"' : ' ');
    if (end == std::string_view::npos) throw refuse();
    out.name = left.substr(0, end);
    left.remove_prefix(end + (is_quoted ? 1 : 0));
    take(" seq ");
    const auto [at, problem] = std::from_chars(left.data(), left.data() + left.size(), out.number);
    if (problem != std::errc{}) throw refuse();
    left.remove_prefix(static_cast<std::size_t>(at - left.data()));
    take(" type ");
    if (left.empty()) throw refuse();
    out.type = left.front();
    // A name is never a way out of the folder.
    if (out.name.empty() || out.name.find('/') != std::string::npos) throw refuse();
    return out;
}

std::string inode_of(int fd, const std::string& path) {
    struct statx info {};
    if (::statx(fd, path.c_str(), AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0)
        throw Error{Code::source_failed, "cannot look at append-only files: {}", errno_text(errno)};
    return fmt::format("{:x}.{:x}.{:x}", info.stx_ino, info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
}

// Up to where the last whole command or transaction ends.
class Boundary {
public:
    void feed(ByteView bytes) {
        scanner_.feed(bytes, [&](const Command& command, std::size_t end) {
            state_.pass(command);
            if (state_.in_transaction()) return;
            at_ = passed_ + end;
            database_ = state_.database;
        });
        passed_ += bytes.size();
    }
    std::uint64_t at() const { return at_; }
    std::uint32_t database() const { return database_; }

private:
    CommandScanner scanner_;
    StreamState state_{aof_database};
    std::uint64_t passed_ = 0;
    std::uint64_t at_ = 0;
    std::uint32_t database_ = aof_database;
};

}  // namespace

std::string find_manifest(const std::string& folder) {
    std::string out;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(folder, problem)) {
        const std::string name = entry.path().filename();
        // "temp-…" is one that is about to take its place.
        if (!name.ends_with(manifest_end) || name.starts_with("temp-")) continue;
        if (!out.empty()) return "";
        out = name;
    }
    return out;
}

bool has_temporary_changes(const std::string& folder) {
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(folder, problem)) {
        const std::string name = entry.path().filename();
        if (name.starts_with("temp-") && name.ends_with(".incr")) return true;
    }
    return false;
}

std::vector<AofEntry> read_manifest(const std::string& folder) {
    const std::string name = find_manifest(folder);
    if (name.empty())
        throw Error{Code::source_failed, "{} holds no append-only files: there is no manifest in it", folder}.hint(
            "Name the folder of `appenddirname`, which Redis 7 makes with `appendonly yes`.");
    const std::string path = folder + "/" + name;
    const Fd file = open_file(path);
    std::string text(manifest_bytes_max, '\0');
    const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
    if (got < 0) throw Error{Code::source_failed, "cannot read {}: {}", path, errno_text(errno)};
    text.resize(static_cast<std::size_t>(got));
    std::vector<AofEntry> out;
    for (const std::string& line : split(text, '\n'))
        if (!line.empty() && !line.starts_with('#')) out.push_back(parse_entry(line, path));
    return out;
}

std::string aof_line(const std::string& folder, const Fd& file) {
    return fmt::format("aof:{}/{}", inode_of(AT_FDCWD, folder), inode_of(file.get(), ""));
}

AofFolder::AofFolder(std::string path) : path_(std::move(path)) {
    for (int attempt = 0;; ++attempt) {
        files_.clear();
        const std::vector<AofEntry> entries = read_manifest(path_);
        try {
            for (const AofEntry& entry : entries)
                if (entry.type != 'h') files_.push_back({entry, open_file(path_ + "/" + entry.name)});
        } catch (const Error& error) {
            // A rewrite may have removed it.
            if (attempt < attempts_max) continue;
            throw Error{Code::source_failed, "{}, which the manifest names", error.message()}.hint(
                "All files that the manifest names are needed, and must be readable.");
        }
        if (read_manifest(path_) == entries && !files_.empty()) break;
        if (attempt == attempts_max)
            throw Error{Code::source_failed, "the append-only files in {} change faster than they can be opened",
                        path_};
    }
    std::ranges::stable_sort(
        files_, {}, [](const File& file) { return std::pair(file.entry.type == 'b' ? 0 : 1, file.entry.number); });
}

std::uint64_t AofFolder::bytes() const {
    std::uint64_t out = 0;
    for (const File& file : files_)
        if (struct stat info{}; ::fstat(file.fd.get(), &info) == 0) out += static_cast<std::uint64_t>(info.st_size);
    return out;
}

AofFolder::End AofFolder::copy_to(World& world, const std::string& folder, bool whole_commands) const {
    const std::string inside = folder + "/appendonlydir";
    std::filesystem::create_directories(inside);
    std::string manifest;
    End end;
    for (const File& file : files_) {
        const std::string target = inside + "/" + file.entry.name;
        const Fd out(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!out) throw Error{errno_code(errno, Code::failed), "cannot create {}: {}", target, errno_text(errno)};
        const bool is_last = &file == &files_.back() && file.entry.type == 'i';
        Boundary boundary;
        Bytes piece(piece_bytes);
        for (std::uint64_t at = 0;;) {
            world.stop.check();
            const ssize_t got = ::pread(file.fd.get(), piece.data(), piece.size(), static_cast<off_t>(at));
            if (got < 0)
                throw Error{Code::source_failed, "cannot read {}: {}", path_ + "/" + file.entry.name,
                            errno_text(errno)};
            if (got == 0) break;
            const ByteView read = ByteView(piece).first(static_cast<std::size_t>(got));
            if (is_last && whole_commands) boundary.feed(read);
            write_all_at(out.get(), read, at, target);
            at += read.size();
        }
        if (is_last && whole_commands) {
            if (::ftruncate(out.get(), static_cast<off_t>(boundary.at())) != 0)
                throw Error{Code::failed, "cannot shorten {}: {}", target, errno_text(errno)};
            end = {aof_place(file.entry.number, boundary.at()), boundary.database()};
        }
        manifest += fmt::format("file {} seq {} type {}\n", file.entry.name, file.entry.number, file.entry.type);
    }
    const std::string target = inside + "/appendonly.aof.manifest";
    const Fd out(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) throw Error{errno_code(errno, Code::failed), "cannot create {}: {}", target, errno_text(errno)};
    write_all(out.get(), as_bytes(manifest), target);
    return end;
}

}  // namespace holdfast::redis
