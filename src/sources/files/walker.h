// sources/files/walker.h: walks folders with several threads and hands out what they hold in tree order.
//
// Shape    a list of steps in tree order: folders to list, pieces of large folders to stat, finished batches.
//          Threads take the first steps that nobody has taken; next() takes the first step when it is
//          finished. A folder's sub-folders become steps only when a thread comes to them, so a million of
//          them are names, not steps
// Errors   what cannot be listed or has gone is a finding
// Threads  next() from one thread
// Limits   finished batches ahead of next() hold about ahead_bytes_max; the names of the folders on the way
//          down are held as well
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/workers.h"
#include "source/findings.h"
#include "source/folder.h"
#include "source/listing.h"
#include "sources/files/entry.h"
#include "sources/files/excludes.h"
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
};

// The treatment that the options give to folders.
std::uint32_t treatment_by(const WalkOptions& options);

// The tag file by which a folder's contents are left out, when there is one.
std::optional<std::string> tag_in(FdCache& cache, int folder, const WalkOptions& options);

class Walker {
public:
    Walker(Folder::Pointer slash, const Root& top, const WalkOptions& options, LinkNumbers& links, Findings& findings);
    ~Walker();
    // False at the end. The batch's handle is a Folder.
    bool next(Batch& batch);
    // After the end: how many paths of the source were there.
    std::size_t roots_found() const { return roots_found_; }

private:
    static constexpr std::size_t ahead_bytes_max = 16 * 1024 * 1024;
    static constexpr std::size_t ahead_steps_max = 64;
    // As much before a step is always allowed, so that going down into folders is not slowed by what was
    // listed beside them.
    static constexpr std::size_t near_bytes_max = 512 * 1024;
    static constexpr std::size_t near_steps_max = 4;

    // A large folder whose entries are stat'ed in pieces.
    struct Large {
        Folder::Pointer folder;
        std::string path;
        std::optional<std::uint64_t> device;
        Listing listing;
    };
    struct SubFolders {
        Folder::Pointer parent;
        const Root* root = nullptr;           // chooses among the names, null when all are captured
        std::optional<std::uint64_t> device;  // that of the path that the source names
        std::string names;                    // each ends with NUL
        std::size_t next = 0;
        void add(std::string_view name) { names.append(name).push_back('\0'); }
    };
    struct Step {
        enum class Kind : std::uint8_t { folder, piece, more_pieces, more_folders };
        enum class State : std::uint8_t { waiting, taken, finished };
        Kind kind = Kind::folder;
        State state = State::waiting;
        // of a folder
        Folder::Pointer folder;
        const Root* root = nullptr;
        std::optional<std::uint64_t> device;
        // of a piece and of more pieces
        std::shared_ptr<Large> large;
        std::size_t first = 0;
        std::size_t end = 0;
        // of more folders
        std::unique_ptr<SubFolders> folders;
        // when finished
        Batch batch;
        std::size_t bytes = 0;
    };
    using Steps = std::list<Step>;
    struct Found {
        Batch batch;
        std::shared_ptr<Large> large;
        std::unique_ptr<SubFolders> folders;
    };

    void work();
    Steps::iterator pick();
    Steps::iterator expand(Steps::iterator step);
    void install(Steps::iterator step, Found found);
    Found list_folder(const Step& step);
    Found list_named(const Step& step, int folder);
    void filter(Listing& listing, const std::string& path, int folder);
    void stat_entries(const Large& large, std::size_t first, std::size_t end, int folder, Batch& batch,
                      SubFolders* folders);
    std::vector<Batch::Entry> take_spare();
    void set_entry(Batch::Entry& entry, const Large& large, const char* name, const Stat& stat);
    void sort_out_sub_folders(Large& large, int folder, SubFolders& folders);

    FdCache& cache_;
    const WalkOptions& options_;
    LinkNumbers& links_;
    Findings& findings_;
    const std::uint32_t treatment_;
    std::atomic<std::size_t> roots_found_{0};

    std::mutex mutex_;
    // guarded by mutex_
    std::condition_variable work_;
    std::condition_variable finished_;
    Steps steps_;
    std::size_t ahead_bytes_ = 0;
    std::size_t ahead_steps_ = 0;      // taken or finished
    std::vector<Batch::Entry> spare_;  // of the last batch that came back: its strings have memory
    std::size_t idle_ = 0;
    bool ending_ = false;
    bool failed_ = false;

    Workers workers_;
};

}  // namespace holdfast::files
