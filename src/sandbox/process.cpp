#include "sandbox/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/view.h"

namespace holdfast {

namespace {

constexpr std::string_view path_variable = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr unsigned processes_max = 1024;
constexpr int last_capability = 63;

// What the child tells before its program runs.
struct Message {
    enum class Kind : std::int32_t { wants_map, is_ready, failed };
    Kind kind;
    std::int32_t error;
    const char* doing;  // of the child's memory, which was ours
    const ViewStep* step;
};

// All that the child needs. Between clone and exec it makes system calls only: other threads of ours may have
// held any lock at that moment.
struct Launch {
    Isolation isolation;
    bool is_root = false;
    bool keeps_owner = false;
    uid_t uid = 0;
    gid_t gid = 0;
    View view;
    std::string work;
    std::vector<char*> argv;
    std::vector<char*> environment;
    std::uint64_t memory_bytes_max = 0;
    int output = -1;
    int errors = -1;
    int input = -1;
    int tell = -1;
    int hear = -1;
};

void tell(const Launch& launch, Message::Kind kind, int error = 0, const char* doing = nullptr,
          const ViewStep* step = nullptr) {
    const Message message{kind, error, doing, step};
    if (::write(launch.tell, &message, sizeof message) != sizeof message) ::_exit(127);
}

[[noreturn]] void give_up(const Launch& launch, const char* doing, int error, const ViewStep* step = nullptr) {
    tell(launch, Message::Kind::failed, error, doing, step);
    ::_exit(127);
}

// Ends with the parent: its end of the pipe is then closed.
void wait_for_parent(const Launch& launch) {
    char byte = 0;
    ssize_t got = 0;
    while ((got = ::read(launch.hear, &byte, 1)) < 0 && errno == EINTR) {
    }
    if (got != 1) ::_exit(127);
}

void bring_loopback_up() {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    if (::ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
        ::ioctl(fd, SIOCSIFFLAGS, &request);
    }
    ::close(fd);
}

// The owner's process reads what was restored, whoever it belongs to, and has no other right of root.
void drop_capabilities(const Launch& launch) {
    for (int each = 0; each <= last_capability; ++each) {
        const bool kept = launch.keeps_owner && (each == CAP_DAC_OVERRIDE || each == CAP_DAC_READ_SEARCH);
        if (!kept) ::prctl(PR_CAPBSET_DROP, each, 0, 0, 0);
    }
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

void become_user(const Launch& launch) {
    if (!launch.is_root || launch.keeps_owner) return;
    // Not by the library's functions: they would wait for threads that are not here.
    if (::syscall(SYS_setgroups, 0, nullptr) != 0) give_up(launch, "leave its groups", errno);
    if (::syscall(SYS_setresgid, launch.gid, launch.gid, launch.gid) != 0) give_up(launch, "change its group", errno);
    if (::syscall(SYS_setresuid, launch.uid, launch.uid, launch.uid) != 0) give_up(launch, "change its user", errno);
}

void set_limit(int resource, rlim_t value) {
    const rlimit limit{value, value};
    ::syscall(SYS_prlimit64, 0, resource, &limit, nullptr);
}

void take_streams(const Launch& launch) {
    if (::dup2(launch.input, 0) < 0 || ::dup2(launch.output, 1) < 0 || ::dup2(launch.errors, 2) < 0)
        give_up(launch, "take its streams", errno);
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    for (int signal = 1; signal < 32; ++signal) ::sigaction(signal, &plain, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void be_the_child(const Launch& launch) {
    const bool maps_first = launch.isolation.user && !launch.is_root;  // its rights are those of the new name space
    if (maps_first) {
        tell(launch, Message::Kind::wants_map);
        wait_for_parent(launch);
    }
    ::setsid();
    take_streams(launch);
    if (launch.isolation.mount) {
        const ViewStep* step = nullptr;
        if (const int error = enter_view(launch.view, step); error != 0)
            give_up(launch, "hide the file system", error, step);
    }
    if (::chdir(launch.work.c_str()) != 0 && !launch.keeps_owner) give_up(launch, "enter its folder", errno);
    if (launch.isolation.network) bring_loopback_up();
    drop_capabilities(launch);
    become_user(launch);
    if (launch.isolation.user && launch.is_root) {
        if (::unshare(CLONE_NEWUSER) != 0) give_up(launch, "make a user name space", errno);
        tell(launch, Message::Kind::wants_map);
        wait_for_parent(launch);
    }
    set_limit(RLIMIT_CORE, 0);
    if (launch.memory_bytes_max != 0) set_limit(RLIMIT_AS, launch.memory_bytes_max);
    if (launch.isolation.uid) set_limit(RLIMIT_NPROC, processes_max);
    ::umask(077);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(launch, "give up new rights", errno);
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) give_up(launch, "die with its parent", errno);
    tell(launch, Message::Kind::is_ready);
    wait_for_parent(launch);
    ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    ::execve(launch.argv[0], launch.argv.data(), launch.environment.data());
    give_up(launch, "start its program", errno);
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

struct Pipe {
    Fd read;
    Fd write;
};

Pipe make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error{Code::failed, "pipe: {}", errno_text(errno)};
    return {Fd(ends[0]), Fd(ends[1])};
}

bool write_word(const std::string& path, const std::string& text) {
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// The process's user, and no other, exists in its name space.
void map_user(pid_t pid, const Launch& launch) {
    const std::string proc = fmt::format("/proc/{}/", pid);
    write_word(proc + "setgroups", "deny");
    if (!write_word(proc + "gid_map", fmt::format("{} {} 1\n", launch.gid, launch.gid)) ||
        !write_word(proc + "uid_map", fmt::format("{} {} 1\n", launch.uid, launch.uid)))
        throw Error{Code::failed, "the sandbox cannot be started: its user cannot be mapped: {}", errno_text(errno)};
}

int clone_flags(const Launch& launch) {
    const Isolation& wanted = launch.isolation;
    int out = SIGCHLD;
    if (wanted.user && !launch.is_root) out |= CLONE_NEWUSER;
    if (wanted.pid) out |= CLONE_NEWPID;
    if (wanted.mount) out |= CLONE_NEWNS;
    if (wanted.network) out |= CLONE_NEWNET;
    if (wanted.ipc) out |= CLONE_NEWIPC | CLONE_NEWUTS;
    return out;
}

[[noreturn]] void throw_failure(const Message& message, const std::string& program) {
    if (message.error == ENOENT && message.step == nullptr && std::string_view(message.doing) == "start its program")
        throw Error{Code::not_found, "there is no program {}", program}.hint(
            "A sandbox sees /usr, /bin, /lib and /opt, and the program that a check names.");
    const std::string at = message.step == nullptr ? "" : fmt::format(" at {}", message.step->target);
    throw Error{Code::failed, "the sandbox cannot be started: the process cannot {}{}: {}", message.doing, at,
                errno_text(message.error)}
        .hint("Where this machine refuses name spaces, --allow-unisolated does without them, and says so.");
}

// Does the parent's part until the program runs.
void see_it_start(pid_t pid, const Launch& launch, int from_child, int to_child, const std::string& program) {
    while (true) {
        Message message{};
        ssize_t got = 0;
        while ((got = ::read(from_child, &message, sizeof message)) < 0 && errno == EINTR) {
        }
        if (got == 0) return;  // closed by exec, or it died, which whoever waits for it learns
        if (got != sizeof message) throw Error{Code::failed, "the sandbox cannot be started: {}", errno_text(errno)};
        if (message.kind == Message::Kind::failed) throw_failure(message, program);
        if (message.kind == Message::Kind::wants_map) map_user(pid, launch);
        if (::write(to_child, "g", 1) != 1)
            throw Error{Code::failed, "the sandbox cannot be started: its process has gone"};
    }
}

ExitStatus status_of(int status) {
    return WIFSIGNALED(status) ? ExitStatus{0, WTERMSIG(status)} : ExitStatus{WEXITSTATUS(status), 0};
}

}  // namespace

SandboxProcess::SandboxProcess(Sandbox& sandbox, const SandboxProcessOptions& options)
    : SandboxProcess(sandbox, options, possible_isolation()) {}

SandboxProcess::SandboxProcess(Sandbox& sandbox, const SandboxProcessOptions& options, const Isolation& isolation)
    : isolation_(isolation), log_(sandbox.path() + "/" + options.log) {
    HF_ASSERT(!options.argv.empty());
    Launch launch;
    launch.is_root = ::geteuid() == 0;
    launch.keeps_owner = options.identity == SandboxProcessOptions::Identity::owner;
    launch.uid = launch.keeps_owner ? ::geteuid() : sandbox.throwaway_uid();
    launch.gid = launch.keeps_owner || !launch.is_root ? ::getegid() : sandbox.throwaway_uid();
    if (launch.uid == 0) isolation_.uid = false;
    if (launch.is_root && launch.uid == 0) isolation_.user = false;
    isolation_.no_new_privs = true;
    launch.isolation = isolation_;
    launch.work = sandbox.work();
    launch.memory_bytes_max = options.memory_bytes_max;
    const std::string root = sandbox.path() + "/root";
    if (::mkdir(root.c_str(), 0700) != 0 && errno != EEXIST)
        throw Error{Code::failed, "cannot create {}: {}", root, errno_text(errno)};
    launch.view = make_view({root, launch.work, options.readable, launch.uid});

    std::vector<std::string> argv = options.argv;
    std::vector<std::string> environment{fmt::format("PATH={}", path_variable), "HOME=" + launch.work,
                                         "TMPDIR=" + launch.work, "LC_ALL=C.UTF-8"};
    for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
    launch.argv = pointers_to(argv);
    launch.environment = pointers_to(environment);

    Fd log(::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    const Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!log || !input) throw Error{errno_code(errno, Code::failed), "cannot open {}: {}", log_, errno_text(errno)};
    Pipe from_child = make_pipe();
    Pipe to_child = make_pipe();
    launch.output = options.output >= 0 ? options.output : log.get();
    launch.errors = log.get();
    launch.input = options.input >= 0 ? options.input : input.get();
    launch.tell = from_child.write.get();
    launch.hear = to_child.read.get();

    const long made = ::syscall(SYS_clone, clone_flags(launch), nullptr, nullptr, nullptr, 0);
    if (made < 0)
        throw Error{Code::failed, "the sandbox cannot be started: this machine refuses name spaces: {}",
                    errno_text(errno)};
    if (made == 0) {
        // Ours is the only write end that may keep it waiting.
        ::close(to_child.write.get());
        ::close(from_child.read.get());
        be_the_child(launch);
    }
    pid_ = static_cast<pid_t>(made);
    try {
        sandbox.remember(pid_);
        from_child.write.reset();
        to_child.read.reset();
        see_it_start(pid_, launch, from_child.read.get(), to_child.write.get(), options.argv[0]);
    } catch (...) {
        end();
        throw;
    }
}

SandboxProcess::~SandboxProcess() { end(); }

std::optional<ExitStatus> SandboxProcess::wait_until(std::chrono::steady_clock::time_point deadline) {
    while (!ended_) {
        int status = 0;
        const pid_t got = ::waitpid(pid_, &status, WNOHANG);
        if (got < 0 && errno != EINTR) throw Error{Code::failed, "waitpid: {}", errno_text(errno)};
        if (got == pid_) {
            ended_ = status_of(status);
        } else if (std::chrono::steady_clock::now() >= deadline) {
            return std::nullopt;
        } else {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
    return ended_;
}

void SandboxProcess::end() {
    if (pid_ <= 0 || ended_) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    ended_ = status_of(status);
}

std::string SandboxProcess::log_tail() const {
    const Fd fd(::open(log_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat stat {};
    if (!fd || ::fstat(fd.get(), &stat) != 0) return "";
    std::string out(std::min<std::size_t>(static_cast<std::size_t>(stat.st_size), log_bytes_max), '\0');
    const ssize_t got = ::pread(fd.get(), out.data(), out.size(), stat.st_size - static_cast<off_t>(out.size()));
    out.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return out;
}

}  // namespace holdfast
