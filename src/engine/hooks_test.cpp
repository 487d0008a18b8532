#include "engine/hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "testing/sim_world.h"

namespace holdfast::engine {
namespace {

using ::testing::HasSubstr;

// Each look at it finds it a minute later.
class HastyClock final : public Clock {
public:
    Nanoseconds now() const override { return steady(); }
    Nanoseconds steady() const override { return steady_ += 60 * one_second; }

private:
    mutable std::atomic<Nanoseconds> steady_{0};
};

class HooksTest : public ::testing::Test {
protected:
    Error error_of(const std::vector<Hook>& hooks, World& world) {
        try {
            run_hooks(world, "before the job", hooks, {});
        } catch (const Error& error) {
            return error;
        }
        ADD_FAILURE() << "no error";
        return Error{Code::internal, "none"};
    }
    // Or a zombie that nobody has taken notice of.
    static bool is_gone(int pid) {
        const auto stat = read_file_if_present(fmt::format("/proc/{}/stat", pid));
        return !stat || as_text(*stat).find(") Z ") != std::string_view::npos;
    }
    bool exists(const std::string& name) const { return std::ifstream(folder.path() + "/" + name).good(); }

    const TemporaryFolder folder;
    SimWorld sim{1};
    HastyClock hasty;
    World soon{hasty, sim.random, sim.stop, sim.log};
};

TEST_F(HooksTest, OneThatHangsIsAskedToEndThenKilledWithWhatItStarted) {
    const std::string pid = folder.path() + "/pid";
    const std::string deaf = "trap '' TERM; sleep 1000 & echo $! > " + pid + "; wait; wait";
    const Error error = error_of({{.argv = {"/bin/sh", "-c", deaf}, .timeout = 30 * 60 * one_second}}, soon);
    EXPECT_EQ(error.code(), Code::target_failed);
    EXPECT_THAT(error.message(), HasSubstr("it took longer than 30 min"));
    int left = 0;
    std::ifstream(pid) >> left;
    ASSERT_GT(left, 1);
    for (int i = 0; i < 10'000 && !is_gone(left); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(is_gone(left));
}

TEST_F(HooksTest, WithoutATimeoutItHasAnHour) {
    EXPECT_THAT(error_of({shell_hook("sleep 1000")}, soon).message(), HasSubstr("it took longer than 1 h"));
}

TEST_F(HooksTest, AStopEndsItAndThoseOfAFailureHaveNotLong) {
    sim.stop.request(SIGTERM);
    // What runs once we are to stop is one of a failure: it runs, but a daemon waits for it.
    run_hooks(sim.world(), "for failures of the job", {shell_hook("touch " + folder.path() + "/told")}, {});
    EXPECT_TRUE(exists("told"));
    EXPECT_THAT(error_of({shell_hook("sleep 1000")}, soon).message(), HasSubstr("it took longer than 15 s"));
}

TEST_F(HooksTest, TheFirstThatFailsEndsThem) {
    const std::vector<Hook> hooks{shell_hook("exit 7"), shell_hook("touch " + folder.path() + "/second")};
    EXPECT_THAT(error_of(hooks, sim.world()).message(), HasSubstr("exit status 7"));
    EXPECT_FALSE(exists("second"));
    EXPECT_THAT(error_of({{.argv = {"/no/such/program"}}}, sim.world()).message(), HasSubstr("/no/such/program"));
}

}  // namespace
}  // namespace holdfast::engine
