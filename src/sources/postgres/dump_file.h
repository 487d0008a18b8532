// sources/postgres/dump_file.h: a dump as it lies on the disk: which format, how it begins, its bytes.
//
// Errors   source_failed when it cannot be read; corrupt for a damaged gzip stream
// Threads  one
#pragma once

#include <functional>
#include <string>

#include "base/bytes.h"

namespace holdfast::postgres {

struct DumpFile {
    enum class Kind : std::uint8_t { none, sql, custom, tar, directory };
    std::string path;
    Kind kind = Kind::none;
    bool is_compressed = false;  // by gzip, as a whole
    std::string begin = {};      // of its text, when it is plain

    std::string format() const;  // "sql.gz"; empty: none
};

DumpFile look_at_dump(const std::string& path);

// Its bytes, unpacked; `read`: how many of the file were read.
void read_dump(const DumpFile& dump, const std::function<void(ByteView)>& each,
               const std::function<void(std::uint64_t)>& read);

}  // namespace holdfast::postgres
