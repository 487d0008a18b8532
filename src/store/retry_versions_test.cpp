#include "store/retry_versions.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "testing/sim_world.h"

namespace holdfast {
namespace {

ObjectVersion version_of(std::string name) {
    ObjectVersion out;
    out.name = std::move(name);
    return out;
}

// Fails in the middle of each kind of call until it was asked often enough.
class Busy final : public Versions {
public:
    explicit Busy(int failures) : failures_(failures) {}
    bool list_versions(const std::function<void(const ObjectVersion&)>& each) override {
        each(version_of("a"));
        fail(listed_);
        each(version_of("b"));
        return true;
    }
    std::optional<Bytes> read_version(const ObjectVersion&) override {
        fail(read_);
        return Bytes{7};
    }

private:
    void fail(int& calls) const {
        if (calls++ < failures_) throw Error{Code::unreachable, "503"};
    }
    const int failures_;
    int listed_ = 0, read_ = 0;
};

TEST(RetryingVersions, ask_again_and_tell_each_version_once) {
    SimWorld sim(1);
    RetryingVersions versions(std::make_unique<Busy>(3), sim.world());
    std::string names;
    EXPECT_TRUE(versions.list_versions([&](const ObjectVersion& version) { names += version.name; }));
    EXPECT_EQ(names, "ab");
    EXPECT_EQ(versions.read_version(version_of("a")), Bytes{7});
}

TEST(RetryingVersions, give_up_when_the_budget_is_used_up) {
    SimWorld sim(1);
    RetryingVersions versions(std::make_unique<Busy>(1'000'000), sim.world());
    const Nanoseconds began = sim.clock.steady();
    EXPECT_THROW(versions.list_versions([](const ObjectVersion&) { FAIL(); }), Error);
    EXPECT_GT(sim.clock.steady() - began, 30 * one_second);
}

}  // namespace
}  // namespace holdfast
