#include "clients/postgres/tools.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/text.h"

namespace holdfast::postgres {

namespace {

constexpr std::chrono::milliseconds stop_wait_max{200};

bool has_programs(const std::string& folder) {
    return ::access((folder + "/pg_dump").c_str(), X_OK) == 0 && ::access((folder + "/pg_restore").c_str(), X_OK) == 0;
}

// "pg_dump (PostgreSQL) 15.20 (Debian …)"; 0 when it cannot be told.
int major_of(const std::string& folder) {
    try {
        const Bytes printed = run_and_read({.argv = {folder + "/pg_dump", "--version"}, .add_environment = {}});
        const std::string_view text = as_text(printed);
        const std::size_t at = text.find(") ");
        if (at == std::string_view::npos) return 0;
        int major = 0;
        std::from_chars(text.data() + at + 2, text.data() + text.size(), major);
        return major;
    } catch (const Error&) {
        return 0;
    }
}

std::vector<std::string> usual_folders() {
    std::vector<std::string> out;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored))
        out.push_back(entry.path().string() + "/bin");
    for (const auto& entry : std::filesystem::directory_iterator("/usr", ignored))
        if (entry.path().filename().string().starts_with("pgsql-")) out.push_back(entry.path().string() + "/bin");
    out.insert(out.end(), {"/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"});
    return out;
}

std::vector<std::string> argv_for(const Endpoint& endpoint, std::vector<std::string> argv) {
    argv.insert(argv.begin() + 1, "--dbname=" + endpoint.child_conninfo());
    argv.insert(argv.begin() + 1, "--no-password");
    return argv;
}

Fd file_of(const std::string& service) { return service.empty() ? Fd() : in_memory(service); }

// libpq reads the service file by its name, once for each connection, and what has none has one as standard input.
ChildOptions options_for(const Endpoint& endpoint, std::vector<std::string> argv, const Fd& service_file) {
    ChildOptions out;
    out.argv = argv_for(endpoint, std::move(argv));
    out.add_environment = endpoint.environment();
    out.add_environment.emplace_back("LC_ALL", "C.UTF-8");
    if (!service_file) return out;
    out.stdin_from = service_file.get();
    out.add_environment.emplace_back("PGSERVICEFILE", "/dev/stdin");
    return out;
}

}  // namespace

Tools find_tools(int server_major, const std::string& bin_dir, Code failure) {
    const std::vector<std::string> folders = bin_dir.empty() ? usual_folders() : std::vector<std::string>{bin_dir};
    Tools best;
    int newest = 0;
    for (const std::string& folder : folders) {
        if (!has_programs(folder)) continue;
        const int major = major_of(folder);
        newest = std::max(newest, major);
        if (major < server_major) continue;
        const bool is_better = server_major == 0 ? major > best.major : best.major == 0 || major < best.major;
        if (is_better) best = {folder, major};
    }
    if (best.major != 0) return best;
    // What is too old for this server is right for another one, such as the source's.
    if (!bin_dir.empty() && newest != 0) return find_tools(server_major, "", failure);
    throw Error{failure, "there is no pg_dump and pg_restore of PostgreSQL{} {}{}",
                server_major == 0 ? "" : fmt::format(" {} or newer", server_major),
                bin_dir.empty() ? "here" : "in " + bin_dir, newest == 0 ? "" : fmt::format(", only of {}", newest)}
        .hint(fmt::format("Install the package postgresql-client{}, or name their folder by `bin_dir`.",
                          server_major == 0 ? "" : fmt::format("-{}", server_major)));
}

Tool::Tool(World& world, const Endpoint& endpoint, std::vector<std::string> argv, Code failure)
    : world_(world),
      name_(std::filesystem::path(argv.front()).filename().string()),
      failure_(failure),
      child_(options_for(endpoint, std::move(argv), file_of(endpoint.service_file()))) {}

Tool::Tool(World& world, const std::vector<std::string>& argv, Code failure)
    : world_(world),
      name_(std::filesystem::path(argv.front()).filename().string()),
      failure_(failure),
      child_(ChildOptions{.argv = argv, .add_environment = {{"LC_ALL", "C.UTF-8"}}}) {}

std::size_t Tool::read(MutableByteView into) {
    while (true) {
        world_.stop.check();
        if (const auto got = child_.read(into, std::chrono::steady_clock::now() + stop_wait_max)) return *got;
    }
}

std::string Tool::finish_or_complaint() {
    while (true) {
        if (const auto end = child_.wait_until(std::chrono::steady_clock::now() + stop_wait_max)) {
            std::string said = child_.stderr_tail();
            while (!said.empty() && said.back() == '\n') said.pop_back();
            if (!end->ok()) return said.empty() ? end->text() : said;
            for (const std::string& line : split(said, '\n'))
                if (!line.empty()) world_.log.warning(printable(line));
            return "";
        }
        world_.stop.check();
    }
}

void Tool::finish() {
    if (const std::string complaint = finish_or_complaint(); !complaint.empty())
        throw Error{failure_, "{} failed: {}", name_, complaint};
}

void Tool::drain() {
    Bytes unused(64 * 1024);
    while (read(unused) > 0) {
    }
}

Bytes run_tool(World& world, const Endpoint& endpoint, std::vector<std::string> argv, Code failure) {
    Tool tool(world, endpoint, std::move(argv), failure);
    Bytes out;
    while (true) {
        const std::size_t at = out.size();
        out.resize(at + 64 * 1024);
        const std::size_t got = tool.read(MutableByteView(out).subspan(at));
        out.resize(at + got);
        if (got == 0) break;
    }
    tool.finish();
    return out;
}

}  // namespace holdfast::postgres
