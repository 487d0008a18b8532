// source/rebuild_links.h: the hard links of a restore: the first name of a file is made, further ones are
// linked to it.
//
// Shape    further names wait until the content is there: what they stand for now is not given up for less
// Threads  add() from the thread that begins items; the rest from any
// Limits   about 100 bytes for each file with several names, an item for each name that waits
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "source/rebuild_context.h"
#include "source/rebuild_folders.h"

namespace holdfast {

class RebuildLinks {
public:
    explicit RebuildLinks(RebuildContext& context) : context_(context) {}

    enum class Outcome : std::uint8_t {
        is_first,  // of its file, or it cannot be linked: it must be made
        linked,
        unchanged,  // was linked already
        left_out,   // its content could not be had, or something is in the way
        waits,      // for the content
    };
    struct Further {
        TargetFolderPointer folder;
        std::string name;
        Item item;
    };
    Outcome link(const Further& further);
    // The item is the first of its file. `is_complete`: its content is there.
    void add(const Folder::Pointer& folder, const std::string& name, const Item& item, bool is_complete);
    // The names that waited: link() is to be asked again for each.
    std::vector<Further> complete(std::uint64_t hard_link);
    // The content cannot be had. Each name that waited has its finding.
    std::vector<Further> lose(std::uint64_t hard_link);
    // The content, for a name that cannot be linked to it.
    OpenedFd open(std::uint64_t hard_link);

private:
    struct Name {
        Folder::Pointer folder;  // none in a dry run that would make it
        std::string name;
    };
    struct Group {
        Name first;
        bool is_complete = false;
        bool is_lost = false;
        std::vector<Further> waiting;
    };
    Outcome link_to(const Name& first, const Name& name, const std::string& item_path);
    void leave_out(const std::string& item_path);

    RebuildContext& context_;
    std::mutex mutex_;
    std::unordered_map<std::uint64_t, Group> groups_;  // guarded by mutex_
};

}  // namespace holdfast
