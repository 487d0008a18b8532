#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/error.h"

namespace holdfast {
namespace {

using std::chrono::steady_clock;

ChildOptions running(std::vector<std::string> argv) {
    ChildOptions out;
    out.argv = std::move(argv);
    return out;
}

std::string all_of(Child& child) {
    std::string out;
    Bytes buffer(1000);
    while (const auto got = child.read(buffer)) {
        if (*got == 0) break;
        out += as_text(ByteView(buffer).first(*got));
    }
    return out;
}

Error error_of(const ChildOptions& options) {
    try {
        run_and_read(options);
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no error";
    return Error{Code::internal, "none"};
}

TEST(Process, what_a_program_prints_is_read_whole) {
    EXPECT_EQ(as_text(run_and_read(running({"echo", "a  b", "$HOME"}))), "a  b $HOME\n");
    EXPECT_EQ(run_and_read(running({"head", "-c", "300000", "/dev/zero"})).size(), 300000U);
    EXPECT_TRUE(run_and_read(running({"true"})).empty());
}

TEST(Process, a_program_that_does_not_exist_is_not_found) {
    EXPECT_EQ(error_of(running({"/no/such/program"})).code(), Code::not_found);
    EXPECT_EQ(error_of(running({"hf-no-such-program"})).code(), Code::not_found);
}

TEST(Process, a_failure_tells_how_it_ended_and_what_was_said) {
    const Error error = error_of(running({"sh", "-c", "echo no luck >&2; exit 3"}));
    EXPECT_EQ(error.code(), Code::failed);
    EXPECT_EQ(error.message(), "sh ended with exit status 3: no luck\n");
    EXPECT_NE(error_of(running({"sh", "-c", "kill -9 $$"})).message().find("killed by signal 9"), std::string::npos);
}

TEST(Process, only_the_end_of_what_was_said_is_kept) {
    Child child(running({"sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x >&2; echo end >&2"}));
    EXPECT_TRUE(child.wait().ok());
    const std::string tail = child.stderr_tail();
    EXPECT_EQ(tail.size(), Child::stderr_bytes_max);
    EXPECT_TRUE(tail.ends_with("xend\n"));
}

TEST(Process, secrets_of_ours_do_not_reach_it) {
    const std::vector<std::string> secrets{"HOLDFAST_PASSWORD", "HOLDFAST_TO_PASSWORD", "HOLDFAST_NEW_PASSWORD"};
    for (const std::string& name : secrets) setenv(name.c_str(), "hunter2", 1);
    setenv("HF_TEST_SEEN", "old", 1);
    ChildOptions options = running({"sh", "-c", "env | grep -c hunter2; echo $HF_TEST_SEEN $HF_TEST_NEW"});
    options.add_environment = {{"HF_TEST_SEEN", "new"}, {"HF_TEST_NEW", "too"}};
    EXPECT_EQ(as_text(run_and_read(options)), "0\nnew too\n");
    for (const std::string& name : secrets) unsetenv(name.c_str());
    unsetenv("HF_TEST_SEEN");
}

TEST(Process, it_reads_nothing_unless_it_is_given_something) {
    EXPECT_TRUE(run_and_read(running({"cat"})).empty());
    ChildOptions options = running({"cat"});
    options.give_stdin = true;
    Child child(options);
    write_all(child.in(), as_bytes("hello"), "the child");
    child.close_in();
    EXPECT_EQ(all_of(child), "hello");
    EXPECT_TRUE(child.wait().ok());
}

TEST(Process, reading_ends_at_its_deadline) {
    ChildOptions options = running({"cat"});
    options.give_stdin = true;
    Child child(options);
    Bytes buffer(10);
    EXPECT_EQ(child.read(buffer, steady_clock::now() + std::chrono::milliseconds(10)), std::nullopt);
    EXPECT_EQ(child.wait_until(steady_clock::now() + std::chrono::milliseconds(10)), std::nullopt);
    write_all(child.in(), as_bytes("x"), "the child");
    EXPECT_EQ(child.read(buffer, steady_clock::now() + std::chrono::minutes(1)), 1U);
    write_all(child.in(), as_bytes("y"), "the child");
    std::optional<std::size_t> got;
    for (int i = 0; i < 10'000 && !got; ++i) {
        got = child.read(buffer, steady_clock::now());  // only what is there
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(got, 1U);
    child.close_in();
    EXPECT_EQ(child.read(buffer, steady_clock::now() + std::chrono::minutes(1)), 0U);
    EXPECT_TRUE(child.wait_until(steady_clock::now() + std::chrono::minutes(1)).value().ok());
}

TEST(Process, a_signal_reaches_all_that_it_started) {
    Child child(running({"sh", "-c", "sleep 1000 & echo started; wait"}));
    Bytes buffer(100);
    ASSERT_GT(child.read(buffer).value_or(0), 0U);
    child.kill(SIGTERM);
    EXPECT_EQ(child.wait().signal, SIGTERM);
    EXPECT_EQ(child.read(buffer), 0U) << "a process of the group still holds its standard output";
}

TEST(Process, what_it_leaves_running_is_not_waited_for) {
    std::string left;
    {
        Child child(running({"sh", "-c", "sleep 1000 & echo $! >&2; exit 3"}));
        EXPECT_EQ(child.wait().code, 3);
        left = child.stderr_tail();
    }
    ASSERT_FALSE(left.empty());
    EXPECT_EQ(::kill(std::stoi(left), SIGKILL), 0) << "it was to be left alone";
}

TEST(Process, a_session_is_killed_with_all_groups_in_it) {
    // `set -m` gives the background job a process group of its own.
    ChildOptions options = running({"bash", "-c", "set -m; sleep 1000 & echo started; wait"});
    options.own_session = true;
    Child child(options);
    Bytes buffer(100);
    ASSERT_GT(child.read(buffer).value_or(0), 0U);
    child.kill(SIGKILL);
    EXPECT_EQ(child.wait().signal, SIGKILL);
    EXPECT_EQ(child.read(buffer), 0U) << "a process of the session still holds its standard output";
}

TEST(Process, it_reads_a_descriptor_of_ours) {
    const TemporaryFolder folder;
    write_file_durably(folder.path() + "/file", as_bytes("hello"));
    const Fd file(::open((folder.path() + "/file").c_str(), O_RDONLY | O_CLOEXEC));
    ChildOptions options = running({"cat", "/dev/stdin"});
    options.stdin_from = file.get();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(as_text(run_and_read(options)), "hello");  // each from its beginning
}

TEST(Process, it_may_get_more_arguments_than_the_usual_limit) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_STACK, &before), 0);
    const rlimit low{std::min<rlim_t>(before.rlim_max, 2 << 20), before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_STACK, &low), 0);
    ChildOptions options = running({"sh", "-c", "echo $#", "sh"});
    for (int i = 0; i < 30'000; ++i) options.argv.push_back(fmt::format("--exclude-table-data=public.part_{}", i));
    EXPECT_EQ(as_text(run_and_read(options)), "30000\n");
    EXPECT_EQ(::setrlimit(RLIMIT_STACK, &before), 0);
}

TEST(Process, one_that_goes_out_of_scope_is_killed_and_reaped) {
    pid_t pid = 0;
    {
        const Child child(running({"sleep", "1000"}));
        pid = child.pid();
        EXPECT_EQ(::kill(pid, 0), 0);
    }
    EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Process, how_it_ended_can_be_said) {
    EXPECT_EQ((ExitStatus{3, 0}).text(), "exit status 3");
    EXPECT_EQ((ExitStatus{0, 9}).text(), "killed by signal 9");
    EXPECT_TRUE(ExitStatus{}.ok());
    EXPECT_FALSE((ExitStatus{0, 9}).ok());
}

}  // namespace
}  // namespace holdfast
