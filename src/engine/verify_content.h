// engine/verify_content.h: compares the bytes of restored files with the chunks that they came from.
//
// Threads  add() and finish() from one thread; the work is done by workers
// Limits   held_bytes_max of pieces wait for the chunks that they are a part of
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/workers.h"
#include "engine/progress.h"
#include "repo/chunk_reader.h"
#include "repo/repository.h"
#include "repo/tree.h"

namespace holdfast::engine {

class ContentVerifier {
public:
    static constexpr std::size_t held_bytes_max = 32 * 1024 * 1024;
    static constexpr std::uint64_t task_bytes = 16 * 1024 * 1024;

    struct Different {
        std::string path;
        std::string text;  // "differs in the 4096 bytes from 8192 on"
    };

    ContentVerifier(repo::Repository& repository, Progress& progress);
    // A file of the right size.
    void add(const repo::TreeEntry& entry, Fd file);
    // One for each file that differs, and all bytes that were compared.
    std::vector<Different> finish();
    std::uint64_t bytes() const { return bytes_; }

private:
    struct File {
        Fd fd;
        std::string path;
        std::atomic<bool> differs{false};
    };
    using FilePointer = std::shared_ptr<File>;
    struct Range {
        repo::Extent extent;
        std::uint64_t at = 0;  // in the file
    };
    struct Held {  // a part of a chunk, or what is no whole chunk with the right id
        FilePointer file;
        Range range;
        Bytes bytes;
    };

    void compare(const FilePointer& file, const std::vector<Range>& ranges);
    void compare_hole(const FilePointer& file, const Range& range);
    bool read(File& file, std::uint64_t at, MutableByteView into);
    void hold(Held held);
    void compare_held();
    void differs(File& file, const Range& range, std::string_view how);

    repo::Repository& repository_;
    Progress& progress_;
    const std::uint64_t whole_min_;  // shorter ones share chunks
    std::atomic<std::uint64_t> bytes_{0};
    std::mutex mutex_;
    // guarded by mutex_
    std::vector<Held> held_;
    std::size_t held_bytes_ = 0;
    std::vector<Different> differences_;

    Workers workers_;  // last: joined before anything else goes
};

}  // namespace holdfast::engine
