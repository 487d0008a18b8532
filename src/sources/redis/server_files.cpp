#include "sources/redis/server_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "clients/redis/discover.h"
#include "sources/redis/advice.h"
#include "sources/redis/aof_folder.h"
#include "sources/redis/replication.h"
#include "sources/redis/throwaway.h"

namespace holdfast::redis {

namespace {

constexpr std::uint64_t bytes_at_least = 64 * 1024 * 1024;
constexpr Nanoseconds look_every = one_second / 10;
constexpr Nanoseconds wait_for_others = 600 * one_second;  // a BGSAVE or a rewrite that runs already
constexpr int attempts_max = 20;
constexpr std::uint64_t first_base_bytes_max = 4096;  // of an empty server; it counts it only when it is started again

std::int64_t number_in(std::string_view text) {
    std::int64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

std::string setting(Connection& connection, const std::string& name) {
    const Reply got = connection.ask({"CONFIG", "GET", name});
    if (got.list.size() < 2)
        throw Error{Code::source_failed, "the server at {} does not say what its {} is", connection.endpoint().place(),
                    name}
            .hint("Name its folder by `data_dir`.");
    return got.list[1].text;
}

Connection connected(World& world, const CaptureOptions& options) {
    return {world, discover(world, options.endpoint, false, Code::source_failed), Code::source_failed};
}

// Its clock for this may be a tick behind, over the end of a second.
std::int64_t seconds_at(Connection& connection) {
    const Reply got = connection.ask({"TIME"});
    return got.list.empty() ? 0 : number_in(got.list[0].text) - 1;
}

// Ends with a file that was written from its beginning to its end since.
void save_in_background(World& world, Connection& connection) {
    const Nanoseconds give_up = world.clock.steady() + wait_for_others;
    while (true) {
        const Reply got = connection.try_ask({"BGSAVE"});
        if (!got.is_error()) break;
        const bool is_for_now =
            got.text.find("in progress") != std::string::npos || got.text.find("child process") != std::string::npos;
        if (!is_for_now || world.clock.steady() > give_up) connection.fail(got, "BGSAVE");
        world.stop.check();
        world.clock.sleep(look_every);
    }
    std::string info = connection.ask({"INFO", "persistence"}).text;
    while (info_value(info, "rdb_bgsave_in_progress") == "1") {
        world.stop.check();
        world.clock.sleep(look_every);
        info = connection.ask({"INFO", "persistence"}).text;
    }
    if (info_value(info, "rdb_last_bgsave_status") != "ok")
        throw Error{Code::source_failed, "the BGSAVE of the server at {} failed", connection.endpoint().place()}.hint(
            "Its log says why; room on its disk and memory for the fork are usual reasons.");
}

}  // namespace

std::string append_folder(World& world, const CaptureOptions& options) {
    if (options.data_dir.empty()) {
        Connection connection = connected(world, options);
        if (setting(connection, "appendonly") != "yes")
            throw Error{Code::source_failed, "the server at {} keeps no append-only files (appendonly no)",
                        connection.endpoint().place()}
                .hint("CONFIG SET appendonly yes, or capture it by `method: psync`.");
        std::string folder = setting(connection, "dir") + "/" + setting(connection, "appenddirname");
        // Switched on again it writes elsewhere until its first rewrite ends; what lies there is of before.
        if (has_temporary_changes(folder) &&
            info_value(connection.ask({"INFO", "persistence"}).text, "aof_rewrite_in_progress") == "1")
            throw Error{Code::source_failed, "the server at {} is about to begin its append-only files anew",
                        connection.endpoint().place()}
                .hint("Try again when its rewrite has ended.");
        return folder;
    }
    return find_manifest(options.data_dir).empty() ? options.data_dir + "/appendonlydir" : options.data_dir;
}

std::unique_ptr<Capture> capture_loaded(Sandbox& sandbox, const std::string& data, const std::string& bin_dir,
                                        RdbOrigin origin) {
    Throwaway server(sandbox, data, {.bin_dir = bin_dir});
    try {
        server.start();
    } catch (const Error& error) {
        if (error.code() != Code::target_failed) throw;
        throw Error{Code::source_failed, "{}", error.message()}.hint(
            "redis-check-aof says where append-only files are damaged.");
    }
    const Endpoint loaded = Endpoint::parse(server.url());
    {
        Connection asked(sandbox.world(), loaded, Code::source_failed);
        origin.bytes = ask_sizes(asked);
    }
    Replication replication(sandbox.world(), loaded, {.rdb_only = true, .from = {}});
    return capture_of(sandbox.world(), std::move(origin),
                      [&](MutableByteView into) { return replication.read_rdb(into); });
}

std::unique_ptr<Capture> capture_rdb_file(World& world, const std::string& path, RdbOrigin origin,
                                          std::function<void(std::uint64_t)> on_bytes) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0)
        throw Error{Code::source_failed, "cannot open {}: {}", path, errno_text(errno)};
    origin.bytes_each = static_cast<std::uint64_t>(info.st_size);
    return capture_of(world, std::move(origin), [&](MutableByteView into) {
        world.stop.check();
        const ssize_t got = ::read(file.get(), into.data(), into.size());
        if (got < 0) throw Error{Code::source_failed, "cannot read {}: {}", path, errno_text(errno)};
        if (on_bytes) on_bytes(static_cast<std::uint64_t>(got));
        return static_cast<std::size_t>(got);
    });
}

namespace {

std::uint64_t written_bytes(Connection& connection) {
    return static_cast<std::uint64_t>(
        number_in(info_value(connection.ask({"INFO", "persistence"}).text, "aof_current_size")));
}

// A folder of the same name may be another machine's; who named it himself knows. Meanwhile it grows, and a rewrite
// makes it smaller.
AofFolder open_append_folder(World& world, const CaptureOptions& options) {
    const std::string path = append_folder(world, options);
    if (!options.data_dir.empty()) return AofFolder(path);
    Connection connection = connected(world, options);
    for (int attempt = 0;; ++attempt) {
        const std::uint64_t least = written_bytes(connection);
        AofFolder folder(path);
        const std::uint64_t found = folder.bytes();
        const std::uint64_t most = written_bytes(connection);
        if (least <= found && found <= most + first_base_bytes_max) return folder;
        if (attempt == attempts_max)
            throw Error{Code::source_failed,
                        "{} is not the folder of {}: it has {} bytes, and the server wrote {}",
                        path,
                        connection.endpoint().place(),
                        found,
                        most}
                .hint("Name the server's own folder, as it is seen on this machine, by `data_dir`.");
        world.stop.check();
        world.clock.sleep(look_every);
    }
}

}  // namespace

AppendFolderCapture capture_append_folder(World& world, const CaptureOptions& options) {
    const AofFolder folder = open_append_folder(world, options);
    Sandbox sandbox(world, default_sandbox_root(), folder.bytes() + bytes_at_least);
    const std::string data = sandbox.work() + "/data";
    RdbOrigin origin{options.source, options.endpoint.shown()};
    if (options.data_dir.empty()) {
        Connection connection = connected(world, options);
        describe_server(world, origin, connection, options);
    }
    const AofFolder::End end = folder.copy_to(world, data, true);
    const Moment moment{{folder.line(), end.place}, world.clock.now()};
    origin.moment = moment;
    origin.stream_database = end.database;
    return {capture_loaded(sandbox, data, options.bin_dir, std::move(origin)), moment};
}

std::unique_ptr<Capture> capture_by_bgsave(World& world, const CaptureOptions& options) {
    Connection connection = connected(world, options);
    RdbOrigin origin{options.source, options.endpoint.shown()};
    if (options.endpoint.database) origin.only = static_cast<std::uint64_t>(*options.endpoint.database);
    describe_server(world, origin, connection, options);
    origin.about.push_back({"", "about instant", fmt::format("{}", world.clock.now() / 1'000'000)});
    origin.written_since_s = seconds_at(connection);
    save_in_background(world, connection);
    const std::string folder = options.data_dir.empty() ? setting(connection, "dir") : options.data_dir;
    const std::string path = folder + "/" + setting(connection, "dbfilename");
    const Note note{"reading {}", path};
    return capture_rdb_file(world, path, std::move(origin));
}

}  // namespace holdfast::redis
