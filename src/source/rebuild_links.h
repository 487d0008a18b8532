// source/rebuild_links.h: the hard links of a restore: the first name of a file is made, further ones are
// linked to it.
//
// Threads  link() and add() from the thread that begins items; complete() and lose() from any
// Limits   about 100 bytes for each file with several names
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "source/rebuild_context.h"

namespace holdfast {

class RebuildLinks {
public:
    explicit RebuildLinks(RebuildContext& context) : context_(context) {}

    enum class Outcome : std::uint8_t {
        is_first,  // of its file, or it cannot be linked: it must be made
        linked,
        unchanged,  // was linked already
        left_out,   // its content could not be had, or something is in the way
    };
    // `folder` is none in a dry run that would make it.
    Outcome link(const Folder::Pointer& folder, const std::string& name, const Item& item);
    // The item is the first of its file. `is_complete`: its content is there.
    void add(const Folder::Pointer& folder, const std::string& name, const Item& item, bool is_complete);
    void complete(std::uint64_t hard_link);
    // Removes all names that were linked to a first one whose content cannot be had.
    void lose(std::uint64_t hard_link);

private:
    struct Name {
        Folder::Pointer folder;
        std::string name;
        Outcome outcome = Outcome::linked;
    };
    struct Group {
        Name first;
        bool is_complete = false;
        bool is_lost = false;
        std::vector<Name> more;  // until it is complete
    };
    Outcome link_to(const Name& first, const Name& name, const std::string& item_path);
    Outcome replace_by_link(int from, const Name& first, int to, const Name& name, const std::string& item_path);
    void leave_out(const std::string& item_path);

    RebuildContext& context_;
    std::mutex mutex_;
    std::unordered_map<std::uint64_t, Group> groups_;  // guarded by mutex_
};

}  // namespace holdfast
