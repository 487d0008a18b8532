// base/file_reader.h: a file from front to back, in pieces of any size.
//
// Errors   none: what cannot be read is as if the file ended before it
// Threads  one owner
#pragma once

#include "base/file.h"

namespace holdfast {

class FileReader {
public:
    explicit FileReader(Fd file) : file_(std::move(file)) {}
    // Fills `into`; false when less than that is left.
    bool take(MutableByteView into);

private:
    Fd file_;
    Bytes buffer_;
    std::size_t at_ = 0, end_ = 0;
};

}  // namespace holdfast
