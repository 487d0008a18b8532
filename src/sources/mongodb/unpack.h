// sources/mongodb/unpack.h: an archive or tar of mongodump as the folder that it stands for.
//
// Errors   source_failed
// Threads  no shared state
#pragma once

#include <zlib.h>

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/world.h"

namespace holdfast::mongodb {

// A file's bytes, unpacked when they are packed by gzip.
class PlainFile {
public:
    explicit PlainFile(const std::string& path);
    std::size_t read(MutableByteView into);  // 0 at the end
    Bytes read_all(std::size_t bytes_max);

private:
    struct Close {
        void operator()(gzFile_s* file) const { gzclose(file); }
    };
    const std::string path_;
    std::unique_ptr<gzFile_s, Close> file_;
};

void unpack_archive(World& world, const std::string& path, const std::string& folder);
void unpack_tar(World& world, const std::string& path, const std::string& folder);

// In names of files mongodump writes some signs as %XX.
std::string dump_file_name(std::string_view name);
std::string name_of_dump_file(std::string_view file);

}  // namespace holdfast::mongodb
