// source/test_help.h: what tests of what runs as somebody share.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace holdfast {

// Root may do everything; some tests must be somebody else for a while.
class AsOrdinaryUser {
public:
    static constexpr uid_t id = 65534;
    AsOrdinaryUser() {
        if (::geteuid() == 0) changed_ = ::seteuid(id) == 0;
    }
    ~AsOrdinaryUser() {
        if (changed_ && ::seteuid(0) != 0) ADD_FAILURE() << "cannot become root again";
    }
    AsOrdinaryUser(const AsOrdinaryUser&) = delete;
    AsOrdinaryUser& operator=(const AsOrdinaryUser&) = delete;

private:
    bool changed_ = false;
};

// File systems of their own, which nobody else sees.
inline void mount_for_this_process(const std::vector<std::string>& folders, const char* kind = "tmpfs") {
    const uid_t uid = ::geteuid();
    const gid_t gid = ::getegid();
    ASSERT_EQ(::unshare(CLONE_NEWNS | (uid == 0 ? 0 : CLONE_NEWUSER)), 0) << errno_text(errno);
    if (uid != 0) {
        std::ofstream("/proc/self/setgroups") << "deny";
        std::ofstream("/proc/self/uid_map") << uid << " " << uid << " 1";
        std::ofstream("/proc/self/gid_map") << gid << " " << gid << " 1";
    }
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << errno_text(errno);
    for (const std::string& folder : folders)
        ASSERT_EQ(::mount(kind, folder.c_str(), kind, 0, nullptr), 0) << errno_text(errno);
}

}  // namespace holdfast
