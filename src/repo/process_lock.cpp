#include "repo/process_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "repo/keys.h"

namespace holdfast::repo {

namespace {

std::string machine_name() {
    const auto id = read_file_if_present("/etc/machine-id");
    return current_host_name() + "/" + (id ? std::string(as_text(*id)) : std::string());
}

std::string lock_folder(const Repository& repository) {
    if (repository.client_folder().empty()) return {};
    return fmt::format("{}/locks/{}", repository.client_folder(), repository.id().hex());
}

std::string lock_path(const Repository& repository, const LockToken& token) {
    const std::string folder = lock_folder(repository);
    return folder.empty() ? folder : folder + "/" + to_hex(token);
}

}  // namespace

std::uint64_t host_tag(const Keyring& keys) { return crypto::tag64(keys.name_key(), as_bytes(machine_name())); }

ProcessLock::ProcessLock(const Repository& repository)
    : token_(repository.world().random.array<16>()), path_(lock_path(repository, token_)) {
    if (path_.empty()) return;
    std::error_code ignored;
    std::filesystem::create_directories(lock_folder(repository), ignored);
    file_ = Fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file_ && ::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) file_.reset();
}

void ProcessLock::remove() {
    if (file_) ::unlink(path_.c_str());
    file_.reset();
}

Presence presence(const Repository& repository, std::uint64_t host, const LockToken& token) {
    if (host != host_tag(repository.keys())) return Presence::unknown;
    const std::string path = lock_path(repository, token);
    const Fd fd(path.empty() ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return Presence::unknown;
    return ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 ? Presence::gone : Presence::here;
}

void remove_lock_file(const Repository& repository, const LockToken& token) {
    const std::string path = lock_path(repository, token);
    if (!path.empty()) ::unlink(path.c_str());
}

}  // namespace holdfast::repo
