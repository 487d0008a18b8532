// sources/files/lister.h: lists one folder: what the options leave of it, as entries in tree order, and the folders in it.
//
// Shape    list() a folder; when it is large, piece() after piece of its entries
// Errors   what cannot be listed or has gone is a finding
// Threads  all members from any thread
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "source/findings.h"
#include "source/folder.h"
#include "source/listing.h"
#include "sources/files/entry.h"
#include "sources/files/excludes.h"
#include "sources/files/file_clock.h"
#include "sources/files/roots.h"

namespace holdfast::files {

struct WalkOptions {
    Excludes excludes;
    bool exclude_caches = false;                  // what lies in a folder with a CACHEDIR.TAG, except the tag
    std::vector<std::string> exclude_if_present;  // what lies in a folder with such a file, except that file
    std::optional<std::uint64_t> exclude_larger;
    bool one_file_system = false;  // other file systems are empty folders
    std::size_t threads = 1;
    std::size_t batch_entries_max = 4096;
    timespec (*now)() = now_of_file_times;
};

// The treatment that the options give to folders.
std::uint32_t treatment_by(const WalkOptions& options);

// Whether the options may leave out names of a folder at all, and whether they do so in this one.
bool treats_folders(const WalkOptions& options);
bool leaves_out_names(FdCache& cache, int folder, const std::string& path, const WalkOptions& options);

// A folder to list, and what the source says about it.
struct Place {
    Folder::Pointer folder;
    const Root* root = nullptr;           // chooses among the names, or knows paths below; null: all are captured
    std::optional<std::uint64_t> device;  // that of the path that the source names, once it was listed
};

// A large folder whose entries are stat'ed in pieces.
struct LargeFolder {
    Folder::Pointer folder;
    std::string path;
    const Root* root = nullptr;  // as of its Place
    std::optional<std::uint64_t> device;
    Listing listing;
};

struct SubFolders {
    Place parent;
    std::string names;  // each ends with NUL
    std::size_t next = 0;
    void add(std::string_view name) { names.append(name).push_back('\0'); }
};

// Entries of a batch that came back: their strings have memory.
class SpareEntries {
public:
    void give_back(std::vector<Batch::Entry> used) {
        const std::lock_guard lock(mutex_);
        if (used.size() > spare_.size()) std::swap(used, spare_);
    }
    std::vector<Batch::Entry> take() {
        const std::lock_guard lock(mutex_);
        return std::move(spare_);
    }

private:
    std::mutex mutex_;
    // guarded by mutex_
    std::vector<Batch::Entry> spare_;
};

class Lister {
public:
    Lister(FdCache& cache, const WalkOptions& options, LinkNumbers& links, Findings& findings)
        : cache_(cache), options_(options), links_(links), findings_(findings), treatment_(treatment_by(options)) {}

    // The folder "/" itself; throws source_failed.
    Batch slash(const Place& slash);
    struct Found {
        Batch batch;
        std::shared_ptr<LargeFolder> large;  // its entries are not in the batch
        std::unique_ptr<SubFolders> folders;
    };
    Found list(const Place& place);
    Batch piece(const LargeFolder& large, std::size_t first, std::size_t end);

    SpareEntries& spare() { return spare_; }
    // How many paths of the source were there, so far.
    std::size_t roots_found() const { return roots_found_; }
    // Files that were left out for what they are now, which their folder does not show.
    std::vector<std::string> take_left_out();

private:
    Found list_named(const Place& place, int folder);
    int stat_named(int folder, const std::string& name, const Root& root, const std::string& above, Batch::Entry& entry,
                   Stat& stat);
    void stat_entries(const LargeFolder& large, std::size_t first, std::size_t end, int folder, Batch& batch,
                      SubFolders* folders);
    void set_entry(Batch::Entry& entry, const LargeFolder& large, const char* name, const Stat& stat);
    static void sort_out_sub_folders(const LargeFolder& large, int folder, SubFolders& folders);

    FdCache& cache_;
    const WalkOptions& options_;
    LinkNumbers& links_;
    Findings& findings_;
    const std::uint32_t treatment_;
    std::atomic<std::size_t> roots_found_{0};
    SpareEntries spare_;
    std::mutex mutex_;
    // guarded by mutex_
    std::vector<std::string> left_out_;
};

}  // namespace holdfast::files
