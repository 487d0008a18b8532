#include "sources/postgres/dump_loader.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "sandbox/process.h"
#include "sources/postgres/dump_lines.h"

namespace holdfast::postgres {

namespace {

constexpr int look_every_ms = 200;
constexpr std::size_t piece_bytes = 256 * 1024;
constexpr std::size_t list_bytes_max = 64 * 1024 * 1024;

struct Pipe {
    Fd read;
    Fd write;
};

Pipe make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error{Code::failed, "pipe: {}", errno_text(errno)};
    return {Fd(ends[0]), Fd(ends[1])};
}

// With an eye on Ctrl-C.
void wait_for(World& world, int fd, short events) {
    while (true) {
        world.stop.check();
        pollfd look{fd, events, 0};
        const int got = ::poll(&look, 1, look_every_ms);
        if (got > 0) return;
        if (got < 0 && errno != EINTR) throw Error{Code::failed, "poll: {}", errno_text(errno)};
    }
}

std::size_t read_some(World& world, int fd, MutableByteView into) {
    while (true) {
        wait_for(world, fd, POLLIN);
        const ssize_t got = ::read(fd, into.data(), into.size());
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR && errno != EAGAIN) throw Error{Code::failed, "read from a pipe: {}", errno_text(errno)};
    }
}

// False when nobody reads any more.
bool write_whole(World& world, int fd, ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(put));
        } else if (errno == EAGAIN) {
            wait_for(world, fd, POLLOUT);
        } else if (errno == EPIPE) {
            return false;
        } else if (errno != EINTR) {
            throw Error{Code::failed, "write to a pipe: {}", errno_text(errno)};
        }
    }
    return true;
}

ExitStatus end_of(World& world, SandboxProcess& process) {
    while (true) {
        world.stop.check();
        if (const auto end =
                process.wait_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(look_every_ms)))
            return *end;
    }
}

// "psql:<stdin>:12: ERROR:  role …" and what follows it.
std::string complaint_in(const std::string& log) {
    std::vector<std::string> kept;
    for (const std::string& line : split(log, '\n')) {
        const bool is_error = line.find("ERROR:") != std::string::npos || line.find("FATAL:") != std::string::npos ||
                              line.find("error:") != std::string::npos;
        const bool goes_on = line.starts_with("DETAIL:") || line.starts_with("HINT:");
        if ((kept.empty() && is_error) || (!kept.empty() && goes_on)) kept.push_back(line);
    }
    std::string out = kept.empty() ? "" : join(kept, "; ");
    if (const std::size_t at = out.find("psql:<stdin>:"); at == 0) out = "line " + out.substr(13);
    return printable(out);
}

[[noreturn]] void throw_complaint(const std::string& program, const ExitStatus& end, const std::string& log) {
    const std::string complaint = complaint_in(log);
    const bool is_full = log.find("No space left on device") != std::string::npos;
    Error error{is_full ? Code::no_space : Code::source_failed, "{} failed: {}", program,
                complaint.empty() ? end.text() : complaint};
    error.set_unharmed("no snapshot was made of it");
    if (log.find("is not available") != std::string::npos || log.find("could not open extension") != std::string::npos)
        throw std::move(error).hint("Install the package of the extension that the dump names.");
    if (log.find("locale name") != std::string::npos)
        throw std::move(error).hint("Make this locale on this machine, or give --database NAME to load it without.");
    throw error;
}

// pg_restore only reads, and must see files of ours.
SandboxProcessOptions reader_of(const DumpFile& dump, const std::string& programs, std::vector<std::string> arguments) {
    SandboxProcessOptions out;
    const std::string path = std::filesystem::absolute(dump.path).lexically_normal().string();
    out.argv = {programs + "/pg_restore"};
    out.argv.insert(out.argv.end(), arguments.begin(), arguments.end());
    out.argv.push_back(path);
    out.readable = {path};
    if (!programs.starts_with("/usr/")) out.readable.push_back(std::filesystem::path(programs).parent_path().string());
    out.log = "pg_restore";
    out.identity = SandboxProcessOptions::Identity::owner;
    return out;
}

// An archive as statements.
void read_archive(const LoadPlan& plan, const std::function<bool(ByteView)>& each) {
    World& world = plan.sandbox.world();
    Pipe pipe = make_pipe();
    std::vector<std::string> arguments{"--file=-"};
    if (plan.makes_database) arguments.emplace_back("--create");
    SandboxProcessOptions options = reader_of(plan.dump, plan.programs, arguments);
    options.output = pipe.write.get();
    SandboxProcess process(plan.sandbox, options);
    pipe.write.reset();
    Bytes piece(piece_bytes);
    while (const std::size_t got = read_some(world, pipe.read.get(), piece)) {
        if (!each(ByteView(piece).first(got))) return;  // whose complaint is worth more
        plan.on_bytes(got);
    }
    const ExitStatus end = end_of(world, process);
    if (!end.ok()) throw_complaint("pg_restore", end, process.log_tail());
}

SandboxProcessOptions psql_options(const LoadPlan& plan, int input, int output) {
    SandboxProcessOptions out;
    out.argv = {plan.programs + "/psql",     "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1",
                "--dbname=" + plan.database, "--file=-"};
    out.environment = {{"PGHOST", plan.sandbox.work()}, {"PGUSER", plan.superuser}};
    if (!plan.programs.starts_with("/usr/"))
        out.readable.push_back(std::filesystem::path(plan.programs).parent_path().string());
    out.log = "psql";
    out.input = input;
    out.output = output;
    return out;
}

}  // namespace

std::vector<std::string> load(const LoadPlan& plan, Connection& beside) {
    World& world = plan.sandbox.world();
    Pipe pipe = make_pipe();
    const Fd nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    SandboxProcess psql(plan.sandbox, psql_options(plan, pipe.read.get(), nothing.get()));
    pipe.read.reset();
    ::fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK);

    std::vector<std::string> remarks;
    bool is_read = true;  // psql still does
    DumpLines lines({[&](ByteView bytes) { is_read = is_read && write_whole(world, pipe.write.get(), bytes); },
                     [&](const std::string& role) {
                         beside.run("CREATE ROLE " + quote_name(role));
                         remarks.push_back(fmt::format("role {} is not in the dump; it was made without rights", role));
                     },
                     [&](const std::string& name) {
                         if (name == "postgres") beside.run("DROP DATABASE IF EXISTS postgres");
                     }},
                    plan.superuser, beside.server_major());
    const auto take = [&](ByteView bytes) {
        if (is_read) lines.add(bytes);
        return is_read;
    };
    if (plan.dump.kind == DumpFile::Kind::sql)
        read_dump(plan.dump, take, plan.on_bytes);
    else
        read_archive(plan, take);
    lines.finish();
    pipe.write.reset();
    const ExitStatus end = end_of(world, psql);
    if (!end.ok()) throw_complaint("loading the dump", end, psql.log_tail());
    lines.refuse_what_was_cut_off();
    return remarks;
}

std::string list_archive(Sandbox& sandbox, const DumpFile& dump, const std::string& programs) {
    Pipe pipe = make_pipe();
    SandboxProcessOptions options = reader_of(dump, programs, {"--list"});
    options.output = pipe.write.get();
    SandboxProcess process(sandbox, options);
    pipe.write.reset();
    std::string out;
    Bytes piece(piece_bytes);
    while (const std::size_t got = read_some(sandbox.world(), pipe.read.get(), piece))
        if (out.size() < list_bytes_max) out += as_text(ByteView(piece).first(got));
    const ExitStatus end = end_of(sandbox.world(), process);
    if (!end.ok()) throw_complaint("pg_restore", end, process.log_tail());
    return out;
}

}  // namespace holdfast::postgres
