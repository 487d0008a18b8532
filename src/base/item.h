// base/item.h: one thing inside a capture: a file, a folder, a table, what a command printed.
//
// Shape    path '/'-separated bytes, absolute for files ("/etc/hosts"), relative for others ("orders/public/users")
//          tree order: by folder (parents first, depth first, bytes compared), then by name within the folder
// Units    seconds and nanoseconds since 1970 UTC, also before it; bytes
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

// Numbers are part of the repository format (doc/format/tree.md).
enum class ItemKind : std::uint8_t {
    file = 1,
    folder = 2,
    symlink = 3,
    fifo = 4,
    socket = 5,
    char_device = 6,
    block_device = 7,
};
std::string_view name_of(ItemKind kind);

struct Attribute {
    std::string name;  // of an extended attribute, ACLs as the kernel names them (system.posix_acl_access)
    std::string value;
    bool operator==(const Attribute&) const = default;
};

struct Item {
    std::string path;
    ItemKind kind = ItemKind::file;
    std::uint32_t mode = 0;  // permission bits with setuid, setgid, sticky
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string user;  // empty when the id has no name
    std::string group;
    std::int64_t mtime_s = 0;
    std::uint32_t mtime_ns = 0;
    std::uint64_t size = 0;             // of the content; 0 for what has none
    std::uint64_t device = 0;           // st_rdev of a device
    std::uint64_t hard_link = 0;        // items of one capture with the same number (not 0) are one file
    std::string link;                   // target of a symlink
    std::vector<Attribute> attributes;  // sorted by name
    bool operator==(const Item&) const = default;
};

// "/etc/hosts" -> {"/etc", "hosts"}; "/etc" -> {"/", "etc"}; "/" -> {"", "/"}; "a" -> {"", "a"}.
std::pair<std::string_view, std::string_view> split_path(std::string_view path);
std::string join_path(std::string_view folder, std::string_view name);
// True when `path` is `folder` or lies below it.
bool is_within(std::string_view path, std::string_view folder);
// Bytes whose memcmp order is the tree order.
std::string folder_key(std::string_view folder);  // ends before every key of a sub-folder begins
std::string tree_key(std::string_view path);
std::string path_of_tree_key(std::string_view key);

}  // namespace holdfast
