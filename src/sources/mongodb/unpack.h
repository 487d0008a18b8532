// sources/mongodb/unpack.h: an archive or tar of mongodump as the folder that it stands for, and the names in it.
//
// Errors   source_failed
// Threads  no shared state
// Source   mongo-tools, mongodump/prepare.go
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
// The name of the one folder at its top in which all of it lies; empty: there is none.
std::string unpack_tar(World& world, const std::string& path, const std::string& folder);

// Mongodump's names for files of collections: some signs are %XX, and a long name is cut, with its SHA-1 behind it, so that
// only the metadata in the file says it.
std::string dump_file_name(std::string_view collection);
std::string name_of_dump_file(std::string_view file);
bool is_cut_name(std::string_view file);
std::string dump_folder_name(std::string_view database);  // as it is, but never a path

}  // namespace holdfast::mongodb
