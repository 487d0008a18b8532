#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>

#include "base/error.h"

extern "C" char** environ;

namespace holdfast {

namespace {

constexpr std::size_t pipe_bytes_max = 64 * 1024;  // that it holds, unless somebody has made it larger

struct Pipe {
    Fd read;
    Fd write;
};

Pipe make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw Error{Code::failed, "pipe: {}", errno_text(errno)};
    return {Fd(ends[0]), Fd(ends[1])};
}

std::vector<std::string> environment_for(const ChildOptions& options) {
    std::vector<std::string> out;
    const auto named = [](const std::string& variable, const std::string& name) {
        return variable.size() > name.size() && variable.starts_with(name) && variable[name.size()] == '=';
    };
    for (char** at = environ; *at != nullptr; ++at) {
        const std::string variable = *at;
        const bool removed =
            std::ranges::any_of(options.remove_environment, [&](const auto& name) { return named(variable, name); }) ||
            std::ranges::any_of(options.add_environment, [&](const auto& pair) { return named(variable, pair.first); });
        if (!removed) out.push_back(variable);
    }
    for (const auto& [name, value] : options.add_environment) out.push_back(name + "=" + value);
    return out;
}

// To all processes of a session, whatever groups they have made.
void kill_session(pid_t session, int signal) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        pid_t pid = 0;
        const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (failure == std::errc{} && end == name.data() + name.size() && ::getsid(pid) == session) ::kill(pid, signal);
    }
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// A program may get a quarter of its limit of the stack as arguments, 6 MB at most.
void make_room_for(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
    constexpr rlim_t spare_bytes = 64 * 1024;
    rlim_t bytes = spare_bytes;
    for (const auto* list : {&argv, &environment})
        for (const std::string& text : *list) bytes += text.size() + 1 + sizeof(char*);
    rlimit limit{};
    if (::getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur / 4 >= bytes)
        return;
    limit.rlim_cur = std::min(limit.rlim_max, bytes * 4);
    ::setrlimit(RLIMIT_STACK, &limit);
}

}  // namespace

std::string ExitStatus::text() const {
    return signal != 0 ? fmt::format("killed by signal {}", signal) : fmt::format("exit status {}", code);
}

Child::Child(const ChildOptions& options) : leads_session_(options.own_session) {
    HF_ASSERT(!options.argv.empty());
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    // Its own process group, so that what it starts ends with it; default handling of what we catch or ignore.
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaddset(&defaults, signal);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    const int own = options.own_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setflags(&attributes, static_cast<short>(own | POSIX_SPAWN_SETSIGDEF));

    Pipe in, out, err;
    if (options.give_stdin) {
        in = make_pipe();
        posix_spawn_file_actions_adddup2(&actions, in.read.get(), 0);
    } else if (options.stdin_from >= 0) {
        posix_spawn_file_actions_adddup2(&actions, options.stdin_from, 0);
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    }
    if (options.capture_stdout) {
        out = make_pipe();
        posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
    } else {
        posix_spawn_file_actions_adddup2(&actions, 2, 1);
    }
    if (options.capture_stderr) {
        err = make_pipe();
        posix_spawn_file_actions_adddup2(&actions, err.write.get(), 2);
    }
    std::vector<std::string> argv = options.argv;
    std::vector<std::string> environment = environment_for(options);
    make_room_for(argv, environment);
    const int failure = posix_spawnp(&pid_, argv[0].c_str(), &actions, &attributes, pointers_to(argv).data(),
                                     pointers_to(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failure != 0) {
        pid_ = -1;
        throw Error{failure == ENOENT ? Code::not_found : Code::failed, "cannot start {}: {}", argv[0],
                    errno_text(failure)};
    }
    in_ = std::move(in.write);
    out_ = std::move(out.read);
    err_ = std::move(err.read);
    if (err_) {
        Pipe going = make_pipe();
        going_ = std::move(going.write);
        err_reader_ = std::jthread([this, over = std::move(going.read)] { keep_stderr(over); });
    }
}

// Until nobody can write there any more, or, once the child has ended, until what is there has been read: what it has left
// running may hold it open for ever.
void Child::keep_stderr(const Fd& over) {
    std::array<char, 4096> buffer;
    for (std::size_t left = pipe_bytes_max; left > 0;) {
        std::array<pollfd, 2> wanted{{{err_.get(), POLLIN, 0}, {over.get(), 0, 0}}};
        if (poll(wanted.data(), wanted.size(), -1) < 0) continue;  // interrupted
        const bool has_ended = wanted[1].revents != 0;
        if (wanted[0].revents == 0) return;
        const ssize_t got = ::read(err_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return;
        err_tail_.append(buffer.data(), static_cast<std::size_t>(got));
        if (err_tail_.size() > stderr_bytes_max) err_tail_.erase(0, err_tail_.size() - stderr_bytes_max);
        if (has_ended) left -= std::min(left, static_cast<std::size_t>(got));
    }
}

void Child::end_reader() {
    going_.reset();
    if (err_reader_.joinable()) err_reader_.join();
}

Child::~Child() {
    if (pid_ > 0 && !ended_) {
        kill(SIGKILL);
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
    }
    end_reader();
}

std::optional<std::size_t> Child::read(MutableByteView bytes,
                                       std::optional<std::chrono::steady_clock::time_point> deadline) {
    while (true) {
        if (deadline) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
            pollfd wanted{out_.get(), POLLIN, 0};
            const int ready = poll(&wanted, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000)));
            if (ready < 0 && errno != EINTR) throw Error{Code::failed, "poll: {}", errno_text(errno)};
            if (ready <= 0 && left.count() <= 0) return std::nullopt;
            if (ready <= 0) continue;
        }
        const ssize_t got = ::read(out_.get(), bytes.data(), bytes.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error{Code::failed, "cannot read from a child process: {}", errno_text(errno)};
        return static_cast<std::size_t>(got);
    }
}

ExitStatus Child::wait() {
    if (!ended_) {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0) {
            if (errno != EINTR) throw Error{Code::failed, "waitpid: {}", errno_text(errno)};
        }
        ended_ = WIFSIGNALED(status) ? ExitStatus{0, WTERMSIG(status)} : ExitStatus{WEXITSTATUS(status), 0};
    }
    return *ended_;
}

std::optional<ExitStatus> Child::wait_until(std::chrono::steady_clock::time_point deadline) {
    while (!ended_) {
        int status = 0;
        const pid_t got = waitpid(pid_, &status, WNOHANG);
        if (got < 0 && errno != EINTR) throw Error{Code::failed, "waitpid: {}", errno_text(errno)};
        if (got == pid_) {
            ended_ = WIFSIGNALED(status) ? ExitStatus{0, WTERMSIG(status)} : ExitStatus{WEXITSTATUS(status), 0};
        } else if (std::chrono::steady_clock::now() >= deadline) {
            return std::nullopt;
        } else {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
    return ended_;
}

void Child::kill(int signal) {
    if (pid_ <= 0 || ended_) return;
    if (!leads_session_) {
        ::kill(-pid_, signal);
        return;
    }
    kill_session(pid_, signal);
    if (signal == SIGKILL) kill_session(pid_, signal);  // what was just being started
}

std::string Child::stderr_tail() {
    wait();
    end_reader();
    return err_tail_;
}

Bytes run_and_read(const ChildOptions& options) {
    Child child(options);
    Bytes out;
    while (true) {
        const std::size_t at = out.size();
        out.resize(at + 64 * 1024);
        const std::size_t got = child.read(MutableByteView(out).subspan(at)).value_or(0);
        out.resize(at + got);
        if (got == 0) break;
    }
    if (const ExitStatus end = child.wait(); !end.ok())
        throw Error{Code::failed, "{} ended with {}: {}", options.argv[0], end.text(), child.stderr_tail()};
    return out;
}

}  // namespace holdfast
