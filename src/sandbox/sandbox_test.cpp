#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/mount_lock.h"
#include "sandbox/process.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using namespace std::chrono_literals;

class SandboxTest : public testing::Test {
protected:
    TemporaryFolder folder_;
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::warning)};
    const std::string root_ = folder_.path() + "/sandboxes";

    // What `command` of a shell prints inside.
    std::string said(const std::string& command, SandboxProcessOptions options = {}) {
        Sandbox sandbox(world_, root_, 0);
        options.argv = {"/bin/sh", "-c", command};
        SandboxProcess process(sandbox, options);
        const auto end = process.wait_until(std::chrono::steady_clock::now() + 30s);
        EXPECT_TRUE(end.has_value()) << command;
        return process.log_tail();
    }
    // In a process of its own, by whose mounts nobody else is harmed.
    static bool among_mounts_of_its_own(const std::function<bool()>& act) {
        const pid_t child = ::fork();
        if (child == 0) {
            const uid_t uid = ::geteuid();
            const gid_t gid = ::getegid();
            if (::unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) ::_exit(2);
            if (uid != 0) {
                std::ofstream("/proc/self/setgroups") << "deny";
                std::ofstream("/proc/self/gid_map") << fmt::format("{} {} 1", gid, gid);
                std::ofstream("/proc/self/uid_map") << fmt::format("{} {} 1", uid, uid);
            }
            if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(3);
            ::_exit(act() ? 0 : 1);
        }
        int status = 0;
        return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    static bool is_alive(pid_t pid) { return ::kill(pid, 0) == 0; }
};

TEST_F(SandboxTest, this_machine_gives_all_kinds_of_isolation) {
    EXPECT_TRUE(possible_isolation().is_complete()) << join(possible_isolation().missing(), ", ");
}

TEST_F(SandboxTest, the_environment_is_built_and_holds_no_secret) {
    ::setenv("HOLDFAST_PASSWORD", "very secret", 1);
    ::setenv("PGPASSWORD", "also secret", 1);
    const std::string out = said("env; cat /proc/1/environ", {.environment = {{"WANTED", "yes"}}});
    ::unsetenv("HOLDFAST_PASSWORD");
    ::unsetenv("PGPASSWORD");
    EXPECT_THAT(out, Not(HasSubstr("secret")));
    EXPECT_THAT(out, HasSubstr("WANTED=yes"));
    EXPECT_THAT(out, HasSubstr("PATH=/usr"));
}

TEST_F(SandboxTest, no_interface_but_loopback_exists) {
    EXPECT_EQ(said("cut -s -d: -f1 /proc/net/dev | tr -d ' '"), "lo\n");
}

TEST_F(SandboxTest, only_programs_and_the_own_folder_can_be_seen) {
    const std::string secret = folder_.path() + "/key";
    write_file_durably(secret, as_bytes("secret"));
    EXPECT_THAT(said("cat " + secret), HasSubstr("No such file"));
    EXPECT_EQ(said("ls /root /home /var/lib 2>&1 | grep -vc 'No such file'"), "0\n");
    EXPECT_EQ(said("cat " + secret, {.readable = {secret}, .identity = SandboxProcessOptions::Identity::owner}),
              "secret");
    EXPECT_EQ(said("touch here && ls"), "here\n");
}

TEST_F(SandboxTest, what_is_mounted_below_a_folder_that_it_sees_is_read_only_too) {
    const std::string seen = folder_.path() + "/seen", below = seen + "/below", out = folder_.path() + "/out";
    std::filesystem::create_directories(below);
    ASSERT_TRUE(among_mounts_of_its_own([&] {
        if (::mount("tmpfs", below.c_str(), "tmpfs", 0, "mode=0777") != 0) return false;
        write_file_durably(out,
                           as_bytes(said("cd " + below + " && echo $(grep ' '$PWD' ' /proc/self/mountinfo); touch new",
                                         {.readable = {seen}})));
        return true;
    }));
    const Bytes text = read_file(out);
    EXPECT_THAT(as_text(text), HasSubstr(below + " ro,nosuid"));
    EXPECT_THAT(as_text(text), HasSubstr("Read-only file system"));
}

TEST_F(SandboxTest, mounts_are_locked_with_all_below_them_or_not_without_a_word) {
    const std::string source = folder_.path() + "/source", top = folder_.path() + "/top";
    const std::string below = "/b\\elow it\n", link = folder_.path() + "/link";
    std::filesystem::create_directories(source + below);
    std::filesystem::create_directory(top);
    std::filesystem::create_directory_symlink(folder_.path(), link);
    const auto can_write = [](const std::string& folder) {
        const Fd fd(::open((folder + "/new").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        return fd || errno != EROFS;
    };
    for (const auto lock : {lock_mounts, lock_mounts_one_by_one}) {
        EXPECT_EQ(lock(top.c_str(), MS_RDONLY), EINVAL) << "this is no mount";
        EXPECT_TRUE(among_mounts_of_its_own([&] {
            return ::mount("tmpfs", (source + below).c_str(), "tmpfs", 0, nullptr) == 0 &&
                   ::mount(source.c_str(), top.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0 &&
                   can_write(top + below) && lock((link + "/top").c_str(), MS_RDONLY | MS_NOSUID) == 0 &&
                   !can_write(top) && !can_write(top + below) && can_write(source) && can_write(source + below);
        }));
    }
}

TEST_F(SandboxTest, it_is_nobody_and_cannot_become_somebody) {
    const std::string out =
        said("id -un; grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status; echo $$; id -u");
    EXPECT_THAT(out, HasSubstr("sandbox\n"));
    EXPECT_THAT(out, HasSubstr("NoNewPrivs:\t1\n"));
    EXPECT_THAT(out, HasSubstr("CapEff:\t0000000000000000\n"));
    EXPECT_THAT(out, HasSubstr("\n1\n"));  // the first of its process name space
    EXPECT_TRUE(::geteuid() != 0 || !out.ends_with("\n0\n")) << out;
}

TEST_F(SandboxTest, a_socket_in_its_folder_is_reachable_from_outside) {
    Sandbox sandbox(world_, root_, 0);
    SandboxProcess process(sandbox,
                           {.argv = {"/usr/bin/python3", "-c",
                                     "import socket\ns=socket.socket(socket.AF_UNIX)\ns.bind('sock')\ns.listen()\n"
                                     "c=s.accept()[0]\nc.send(b'hello')"}});
    const std::string path = sandbox.work() + "/sock";
    while (!std::filesystem::exists(path) && !process.wait_until(std::chrono::steady_clock::now() + 5ms)) {
    }
    ChildOptions client;
    client.argv = {
        "python3", "-c",
        "import socket,sys\ns=socket.socket(socket.AF_UNIX)\nwhile True:\n try:\n  s.connect(sys.argv[1])\n  "
        "break\n except ConnectionRefusedError: pass\nprint(s.recv(9).decode())",
        path};
    const Bytes got = run_and_read(client);
    EXPECT_EQ(as_text(got), "hello\n");
}

TEST_F(SandboxTest, a_missing_program_and_too_little_room_are_said) {
    Sandbox sandbox(world_, root_, 0);
    try {
        SandboxProcess process(sandbox, {.argv = {"/usr/bin/there-is-none"}});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::not_found);
        EXPECT_EQ(error.message(), "there is no program /usr/bin/there-is-none");
    }
    try {
        Sandbox large(world_, root_, std::uint64_t{1} << 60);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::no_space);
    }
}

TEST_F(SandboxTest, a_root_that_others_may_write_to_is_refused) {
    std::filesystem::create_directory(root_);
    ::chmod(root_.c_str(), 0777);
    EXPECT_THROW(Sandbox(world_, root_, 0), Error);
}

TEST_F(SandboxTest, memory_is_limited) {
    EXPECT_THAT(said("python3 -c 'bytearray(1 << 30)'", {.memory_bytes_max = 512 << 20}), HasSubstr("MemoryError"));
}

TEST_F(SandboxTest, an_end_ends_all_that_it_started) {
    Sandbox sandbox(world_, root_, 0);
    SandboxProcess process(sandbox, {.argv = {"/bin/sh", "-c", "setsid sleep 1000 & sleep 1000"}});
    EXPECT_FALSE(process.wait_until(std::chrono::steady_clock::now() + 50ms));
    process.end();
    EXPECT_FALSE(is_alive(process.pid()));
    EXPECT_EQ(process.wait_until(std::chrono::steady_clock::now())->signal, SIGKILL);
}

TEST_F(SandboxTest, what_is_in_use_is_not_reaped) {
    const Sandbox sandbox(world_, root_, 0);
    EXPECT_THAT(reap_sandboxes(world_, root_), IsEmpty());
    EXPECT_TRUE(std::filesystem::exists(sandbox.work()));
}

TEST_F(SandboxTest, the_reaper_ends_and_removes_what_a_killed_owner_left) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t owner = ::fork();
    if (owner == 0) {
        Sandbox sandbox(world_, root_, 0);
        std::filesystem::create_directories(sandbox.work() + "/a/b");
        SandboxProcess process(sandbox, {.argv = {"/bin/sleep", "1000"}});
        const pid_t pid = process.pid();
        if (::write(ends[1], &pid, sizeof pid) == sizeof pid) ::pause();
        ::_exit(0);
    }
    pid_t inside = 0;
    ASSERT_EQ(::read(ends[0], &inside, sizeof inside), ssize_t{sizeof inside});
    EXPECT_TRUE(is_alive(inside));
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    const auto is_running = [&] {
        const auto stat = read_file_if_present(fmt::format("/proc/{}/stat", inside));
        return stat && as_text(*stat).find(") Z") == std::string_view::npos;
    };
    while (is_running() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
    EXPECT_FALSE(is_running());
    EXPECT_EQ(reap_sandboxes(world_, root_).size(), 1U);
    EXPECT_THAT(reap_sandboxes(world_, root_), IsEmpty());
    ::close(ends[0]);
    ::close(ends[1]);
}

}  // namespace
}  // namespace holdfast
