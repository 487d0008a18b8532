// sources/files/entry.h: an item, and what tells that it is unchanged, from what stat says of it.
//
// Shape    a version is inode, size, mtime, ctime, mode, owner, links and treatment as fixed-size numbers; an entry's has
//          the number of its hard links behind it, which may be another one in the next capture. The device is not in
//          it: its number changes when the machine starts again
// Threads  LinkNumbers may be used from any thread
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "source/source.h"

namespace holdfast::files {

using Stat = struct statx;

// An errno, 0 for success. Symlinks are not followed.
int stat_at(int folder, const char* name, Stat& out);
int stat_following(int folder, const char* name, Stat& out);
int stat_open(int fd, Stat& out);

inline bool is_folder(const Stat& stat) { return S_ISDIR(stat.stx_mode); }
inline bool is_file(const Stat& stat) { return S_ISREG(stat.stx_mode); }
inline std::uint64_t device_of(const Stat& stat) {
    return std::uint64_t{stat.stx_dev_major} << 32 | stat.stx_dev_minor;
}

// Numbers for inodes with several names: the same for the same inode, different for different ones, and from
// one capture to the next the same as far as the kernel allows.
class LinkNumbers {
public:
    // The device that most items are on.
    void set_home(std::uint64_t device) { home_ = device; }
    std::uint64_t number(const Stat& stat);

private:
    std::uint64_t tag_of(std::uint64_t device);

    std::uint64_t home_ = 0;  // set before the first number
    std::mutex mutex_;
    // guarded by mutex_
    std::map<std::uint64_t, std::uint64_t> tags_;
};

// A treatment says, of a folder, how the options treat what is in it: another treatment is a change (and
// complete() decides anew whether the folder is captured in part). This bit stands for paths that only lead
// to the source's and for other file systems, the others hash the options.
constexpr std::uint32_t treatment_partial = 1;
std::string version_of(const Stat& stat, std::uint32_t treatment);
// Whether a file has this version, which an entry may have extended.
bool is_still(const Stat& stat, std::string_view version);
void fill_entry(Batch::Entry& entry, std::string_view folder, std::string_view name, const Stat& stat,
                std::uint32_t treatment, LinkNumbers& links);

}  // namespace holdfast::files
