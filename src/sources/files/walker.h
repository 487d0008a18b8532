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

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>

#include "base/workers.h"
#include "sources/files/lister.h"

namespace holdfast::files {

class Walker {
public:
    Walker(Folder::Pointer slash, const Root& top, const WalkOptions& options, LinkNumbers& links, Findings& findings);
    ~Walker();
    // False at the end. The batch's handle is a Folder.
    bool next(Batch& batch);
    // After the end: how many paths of the source were there.
    std::size_t roots_found() const { return lister_.roots_found(); }
    std::vector<std::string> take_left_out() { return lister_.take_left_out(); }

private:
    static constexpr std::size_t ahead_bytes_max = 16 * 1024 * 1024;
    static constexpr std::size_t ahead_steps_max = 64;
    // As much before a step is always allowed, so that going down into folders is not slowed by what was
    // listed beside them.
    static constexpr std::size_t near_bytes_max = 512 * 1024;
    static constexpr std::size_t near_steps_max = 4;

    struct Step {
        enum class Kind : std::uint8_t { folder, piece, more_pieces, more_folders };
        enum class State : std::uint8_t { waiting, taken, finished };
        Kind kind = Kind::folder;
        State state = State::waiting;
        Place place;  // of a folder
        // of a piece and of more pieces
        std::shared_ptr<LargeFolder> large;
        std::size_t first = 0;
        std::size_t end = 0;
        // of more folders
        std::unique_ptr<SubFolders> folders;
        // when finished
        Batch batch;
        std::size_t bytes = 0;
    };
    using Steps = std::list<Step>;
    void work();
    Steps::iterator pick();
    Steps::iterator expand(Steps::iterator step);
    void install(Steps::iterator step, Lister::Found found);

    const WalkOptions& options_;
    Lister lister_;

    std::mutex mutex_;
    // guarded by mutex_
    std::condition_variable work_;
    std::condition_variable finished_;
    Steps steps_;
    std::size_t ahead_bytes_ = 0;
    std::size_t ahead_steps_ = 0;  // taken or finished
    std::size_t idle_ = 0;
    bool ending_ = false;
    bool failed_ = false;

    Workers workers_;
};

}  // namespace holdfast::files
