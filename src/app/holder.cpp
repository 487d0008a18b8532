#include "app/holder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

std::string first_line(const std::string& path) {
    const auto bytes = read_file_if_present(path);
    if (!bytes) return "-";
    const std::string text(as_text(*bytes));
    return text.substr(0, text.find('\n'));
}

std::string pid_namespace() {
    std::error_code failure;
    const auto link = std::filesystem::read_symlink("/proc/self/ns/pid", failure);
    return failure ? "-" : link.string();
}

// In clock ticks since the machine was booted; empty: there is no such process, or it is a zombie.
std::string start_of(pid_t pid) {
    constexpr std::size_t state = 0, start = 19;  // counted after the name, which may hold spaces
    const std::string line = first_line(fmt::format("/proc/{}/stat", pid));
    const std::size_t name_end = line.rfind(')');
    if (name_end == std::string::npos || name_end + 2 >= line.size()) return "";
    const std::vector<std::string> fields = split(line.substr(name_end + 2), ' ');
    return fields.size() <= start || fields[state] == "Z" ? "" : fields[start];
}

}  // namespace

std::string holder_of(pid_t pid) {
    return fmt::format("{} {} {} {} {}", current_host_name(), first_line("/proc/sys/kernel/random/boot_id"),
                       pid_namespace(), pid, start_of(pid));
}

std::string holder_of_this_process() { return holder_of(::getpid()); }

std::optional<bool> is_holder_alive(const std::string& holder) {
    const std::vector<std::string> fields = split(holder, ' ');
    if (fields.size() != 5 || fields[0] != current_host_name()) return std::nullopt;
    if (fields[1] != first_line("/proc/sys/kernel/random/boot_id")) return false;  // booted since
    if (fields[2] != pid_namespace()) return std::nullopt;
    pid_t pid = 0;
    const auto [end, failure] = std::from_chars(fields[3].data(), fields[3].data() + fields[3].size(), pid);
    if (failure != std::errc{}) return std::nullopt;
    return start_of(pid) == fields[4] && !fields[4].empty();
}

}  // namespace holdfast::app
