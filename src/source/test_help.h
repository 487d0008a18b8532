// source/test_help.h: what tests of what runs as somebody share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

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

}  // namespace holdfast
