// base/file.h: file descriptors, whole small files, durable writes, temporary folders.
//
// Errors   failed (or no_space) with the path and the reason; what may be absent returns an optional
// Threads  no shared state
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/world.h"

namespace holdfast {

// Owns a descriptor; closes it quietly. Use close() where the result matters.
class Fd {
public:
    Fd() = default;
    explicit Fd(int number) : number_(number) {}
    Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }
    int get() const { return number_; }
    explicit operator bool() const { return number_ >= 0; }
    void reset() noexcept;
    int release() { return std::exchange(number_, -1); }

private:
    int number_ = -1;
};

// A file in memory: without a name anywhere, gone with those who have it open.
Fd in_memory(std::string_view text);

std::optional<Bytes> read_file_if_present(const std::string& path);
Bytes read_file(const std::string& path);
void write_all(int fd, ByteView bytes, const std::string& name);
void write_all_at(int fd, ByteView bytes, std::uint64_t offset, const std::string& name);
// Replaces `path` by a file with these bytes: temporary, fsync, rename, fsync of the folder.
void write_file_durably(const std::string& path, ByteView bytes, unsigned mode = 0600);
void fsync_folder(const std::string& path);

std::string current_host_name();
std::string home_folder();   // empty when there is none
std::string state_folder();  // XDG_STATE_HOME or ~/.local/state, + "/holdfast"; empty when no home

// A folder of this process's own under `parent` (default: TMPDIR or /tmp), removed with all it holds.
class TemporaryFolder {
public:
    explicit TemporaryFolder(const std::string& prefix = "holdfast-", const std::string& parent = "");
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace holdfast
