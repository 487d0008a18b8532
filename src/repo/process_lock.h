// repo/process_lock.h: by which others on this machine see whether the writer of a session or a journal still runs.
//
// Shape    a locked file in the client's folder, named by a random token that stands in the repository
// Limits   without a client folder there is no file, and nobody is known to be gone
// Threads  one
#pragma once

#include <array>
#include <string>

#include "base/file.h"
#include "repo/repository.h"

namespace holdfast::repo {

using LockToken = std::array<std::uint8_t, 16>;

class ProcessLock {
public:
    explicit ProcessLock(const Repository& repository);  // takes a new one
    const LockToken& token() const { return token_; }
    void remove();  // what it stood for ended well

private:
    LockToken token_{};
    std::string path_;
    Fd file_;
};

std::uint64_t host_tag(const Keyring& keys);
enum class Presence : std::uint8_t {
    here,    // of this machine, and running
    gone,    // of this machine, and its process has ended
    unknown  // of another machine, or without a lock
};
Presence presence(const Repository& repository, std::uint64_t host, const LockToken& token);
void remove_lock_file(const Repository& repository, const LockToken& token);

}  // namespace holdfast::repo
