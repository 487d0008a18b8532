// source/inspect.h: looks at what a restore has made of items, by other code than the one that made it.
//
// Shape    look() for each item in tree order says where it differs, and opens a file for whoever reads its content
// Errors   target_failed when the target cannot be read
// Threads  one thread; what it opens may be used by any
// Limits   symlinks are never followed; any depth
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "source/folder.h"
#include "source/source.h"

namespace holdfast {

enum class Aspect : std::uint8_t { missing, kind, size, content, owner, mode, time, attributes, link, unreadable };
std::string_view name_of(Aspect aspect);

struct ItemDifference {
    std::string path;
    Aspect aspect{};
    std::string expected;
    std::string found;
};

class Inspector {
public:
    // As the RebuildRequest had them.
    Inspector(std::string target, std::string strip);

    struct Look {
        bool concerned = false;  // it belongs to what was restored
        std::vector<ItemDifference> differences;
        Fd file;  // of a file of the right size
    };
    Look look(const Item& item);

private:
    struct Place {
        Folder::Open folder;
        std::string name;
    };
    Folder::Open enter(std::string_view path);
    void compare_metadata(const Place& place, const Item& item, const struct stat& found, Look& out) const;
    void compare_attributes(const Place& place, const Item& item, Look& out) const;
    void compare_content(const Place& place, const Item& item, const struct stat& found, Look& out);

    const std::string target_;
    const std::string strip_;
    const std::shared_ptr<FdCache> cache_;
    std::vector<Folder::Pointer> way_;  // the target first
    std::string path_;                  // of the last of them, below the target
    std::unordered_map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> linked_;  // hard_link to device, inode
};

struct TreeCount {
    std::uint64_t items = 0;  // names, without the folder itself
    std::uint64_t bytes = 0;  // of files, once for each name
};
TreeCount count_tree(const std::string& folder);

}  // namespace holdfast
