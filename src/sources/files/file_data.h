// sources/files/file_data.h: the bytes of one file, with its holes, and whether it kept still meanwhile.
//
// Errors   a read that fails breaks off this file alone
// Threads  one reader
// Limits   reads as many bytes as the file had when it was stat'ed: one that grows is cut there, and found
//          changed
#pragma once

#include <string>

#include "base/file.h"
#include "source/source.h"

namespace holdfast::files {

class FileData final : public ItemData {
public:
    // `size` 0: until the end, for files such as those in /proc that do not know their size.
    FileData(Fd fd, std::string path, std::uint64_t size, bool is_sparse, std::string version);
    Piece read(MutableByteView into) override;
    std::optional<Finding> verdict() override;

private:
    std::uint64_t find_hole();

    const Fd fd_;
    const std::string path_;
    const std::uint64_t size_;
    const bool is_sparse_;
    const std::string version_;  // when it was stat'ed; empty: it changed since then
    std::uint64_t at_ = 0;
    std::uint64_t data_end_ = 0;  // of the run of data that `at_` is in
    int broken_ = 0;              // the errno of the read that failed
};

}  // namespace holdfast::files
