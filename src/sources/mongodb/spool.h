// sources/mongodb/spool.h: bytes that wait in a temporary file until they are wanted.
//
// Errors   failed, no_space
// Threads  one owner
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/file.h"

namespace holdfast::mongodb {

class Spool {
public:
    std::uint64_t append(ByteView bytes);  // where they lie
    // As many as there are from `at`, at most.
    std::size_t read(std::uint64_t at, MutableByteView into) const;
    void clear();
    std::uint64_t bytes() const { return bytes_; }

private:
    std::optional<TemporaryFolder> folder_;  // made by the first that comes
    Fd file_;
    std::uint64_t bytes_ = 0;
};

}  // namespace holdfast::mongodb
