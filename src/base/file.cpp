#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.h"

namespace holdfast {

namespace {

[[noreturn]] void fail(std::string_view verb, const std::string& path, int number) {
    throw Error{errno_code(number, Code::failed), "cannot {} {}: {}", verb, path, errno_text(number)};
}

}  // namespace

void Fd::reset() noexcept {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
}

Fd in_memory(std::string_view text) {
    Fd out(::memfd_create("holdfast", MFD_CLOEXEC));
    if (!out) fail("make", "a file in memory", errno);
    write_all(out.get(), as_bytes(text), "a file in memory");
    return out;
}

std::optional<Bytes> read_file_if_present(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        fail("open", path, errno);
    }
    struct stat info {};
    if (fstat(fd.get(), &info) != 0) fail("stat", path, errno);
    Bytes out(static_cast<std::size_t>(std::max<off_t>(info.st_size, 0)));
    std::size_t at = 0;
    while (true) {
        if (at == out.size()) out.resize(at + 4096);
        const ssize_t got = ::read(fd.get(), out.data() + at, out.size() - at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("read", path, errno);
        if (got == 0) break;
        at += static_cast<std::size_t>(got);
    }
    out.resize(at);
    return out;
}

Bytes read_file(const std::string& path) {
    if (auto bytes = read_file_if_present(path)) return std::move(*bytes);
    fail("open", path, ENOENT);
}

void write_all(int fd, ByteView bytes, const std::string& name) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail("write", name, errno);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
}

void write_all_at(int fd, ByteView bytes, std::uint64_t offset, const std::string& name) {
    while (!bytes.empty()) {
        const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail("write", name, errno);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
}

void write_file_durably(const std::string& path, ByteView bytes, unsigned mode) {
    const std::string temporary = path + ".tmp." + std::to_string(::getpid());
    try {
        const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
        if (!fd) fail("create", temporary, errno);
        write_all(fd.get(), bytes, temporary);
        if (::fsync(fd.get()) != 0) fail("fsync", temporary, errno);
        if (::rename(temporary.c_str(), path.c_str()) != 0) fail("rename", temporary, errno);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    fsync_folder(std::filesystem::path(path).parent_path().string());
}

void fsync_folder(const std::string& path) {
    const std::string folder = path.empty() ? "." : path;
    const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) fail("open", folder, errno);
    if (::fsync(fd.get()) != 0) fail("fsync", folder, errno);
}

std::string current_host_name() {
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

std::string home_folder() {
    const char* home = std::getenv("HOME");
    return home == nullptr ? "" : home;
}

std::string state_folder() {
    if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
        return std::string(state) + "/holdfast";
    const std::string home = home_folder();
    return home.empty() ? "" : home + "/.local/state/holdfast";
}

TemporaryFolder::TemporaryFolder(const std::string& prefix, const std::string& parent) {
    std::string base = parent;
    if (base.empty()) {
        const char* tmp = std::getenv("TMPDIR");
        base = tmp != nullptr && *tmp != '\0' ? tmp : "/tmp";
    }
    path_ = base + "/" + prefix + "XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) fail("create a folder in", base, errno);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace holdfast
