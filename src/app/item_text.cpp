#include "app/item_text.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast::app {

namespace {

char letter_of(ItemKind kind) {
    switch (kind) {
        case ItemKind::file:
            return '-';
        case ItemKind::folder:
            return 'd';
        case ItemKind::symlink:
            return 'l';
        case ItemKind::fifo:
            return 'p';
        case ItemKind::socket:
            return 's';
        case ItemKind::char_device:
            return 'c';
        case ItemKind::block_device:
            return 'b';
    }
    return '?';
}

}  // namespace

std::string mode_text(const Item& item) {
    const auto bits = [&](std::uint32_t read, std::uint32_t write, std::uint32_t run, std::uint32_t special,
                          char letter) {
        std::string out;
        out += (item.mode & read) != 0 ? 'r' : '-';
        out += (item.mode & write) != 0 ? 'w' : '-';
        const bool runs = (item.mode & run) != 0;
        if ((item.mode & special) != 0) {
            out += runs ? letter : static_cast<char>(letter - 'a' + 'A');
        } else {
            out += runs ? 'x' : '-';
        }
        return out;
    };
    return letter_of(item.kind) + bits(S_IRUSR, S_IWUSR, S_IXUSR, S_ISUID, 's') +
           bits(S_IRGRP, S_IWGRP, S_IXGRP, S_ISGID, 's') + bits(S_IROTH, S_IWOTH, S_IXOTH, S_ISVTX, 't');
}

std::string item_text(const Item& item) {
    const auto owner = [](const std::string& name, std::uint32_t id) {
        return name.empty() ? std::to_string(id) : printable(name);
    };
    // A time that nanoseconds since 1970 cannot hold is shown as the nearest one that they can.
    const std::int64_t seconds =
        std::clamp<std::int64_t>(item.mtime_s, INT64_MIN / one_second + 1, INT64_MAX / one_second - 1);
    std::string out = fmt::format("{}  {:<8} {:<8} {:>9}  {}  {}", mode_text(item), owner(item.user, item.uid),
                                  owner(item.group, item.gid), human_bytes(item.size), local_time(seconds * one_second),
                                  printable(item.path));
    if (item.kind == ItemKind::symlink) out += " -> " + printable(item.link);
    return out;
}

}  // namespace holdfast::app
