#include "base/item.h"

#include "base/error.h"

namespace holdfast {

std::string_view name_of(ItemKind kind) {
    switch (kind) {
        case ItemKind::file:
            return "file";
        case ItemKind::folder:
            return "folder";
        case ItemKind::symlink:
            return "symlink";
        case ItemKind::fifo:
            return "fifo";
        case ItemKind::socket:
            return "socket";
        case ItemKind::char_device:
            return "char_device";
        case ItemKind::block_device:
            return "block_device";
    }
    return "unknown";
}

std::pair<std::string_view, std::string_view> split_path(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos || path.size() == 1) return {{}, path};
    return {slash == 0 ? path.substr(0, 1) : path.substr(0, slash), path.substr(slash + 1)};
}

std::string join_path(std::string_view folder, std::string_view name) {
    std::string out(folder);
    if (!out.empty() && out.back() != '/') out += '/';
    out += name;
    return out;
}

bool is_within(std::string_view path, std::string_view folder) {
    if (folder.empty() || path == folder) return true;
    if (!path.starts_with(folder)) return false;
    return folder.back() == '/' || path[folder.size()] == '/';
}

// A '/' becomes 00 01, the end of the folder 00 00. Names hold no 00, so 00 sorts below every byte of a name:
// a folder's own items come before its sub-folders', and "a/…" before "a!/…".
std::string folder_key(std::string_view folder) {
    std::string key;
    key.reserve(folder.size() + 8);
    for (const char c : folder) {
        if (c == '/') {
            key += '\0';
            key += '\1';
        } else {
            key += c;
        }
    }
    return key;
}

std::string tree_key(std::string_view path) {
    const auto [folder, name] = split_path(path);
    std::string key = folder_key(folder);
    key.append(2, '\0');
    key += name;
    return key;
}

std::string path_of_tree_key(std::string_view key) {
    std::string folder;
    std::size_t at = 0;
    while (true) {
        if (at + 1 >= key.size())
            throw Error{Code::corrupt, "a tree key of {} bytes has no end of its folder", key.size()};
        if (key[at] != '\0') {
            folder += key[at++];
        } else if (key[at + 1] == '\1') {
            folder += '/';
            at += 2;
        } else {
            return join_path(folder, key.substr(at + 2));
        }
    }
}

}  // namespace holdfast
