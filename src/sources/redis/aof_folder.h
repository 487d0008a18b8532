// sources/redis/aof_folder.h: the append-only files of Redis 7: a base, and the changes after it, as their manifest says.
//
// Shape    AofFolder folder(path) opens all of them; copy_to() makes a data folder of them for a server of its own
// Units    a place is a file's number and an offset in it, in one number: number << 40 | offset
// Errors   source_failed when it is no such folder or cannot be read; corrupt
// Threads  one owner
// I1  what is opened together belongs together, also while the server rewrites its files
// Source   redis: src/aof.c, "AOF manifest"
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "base/world.h"

namespace holdfast::redis {

constexpr std::uint64_t aof_place(std::uint64_t number, std::uint64_t offset) { return number << 40 | offset; }
constexpr std::uint64_t aof_number(std::uint64_t place) { return place >> 40; }
constexpr std::uint64_t aof_offset(std::uint64_t place) { return place & ((std::uint64_t{1} << 40) - 1); }

// At the begin of each file, before any SELECT.
constexpr std::uint32_t aof_database = 0;

struct AofEntry {
    std::string name;
    std::uint64_t number = 0;
    char type = 0;  // b base, i changes, h no longer needed
    bool operator==(const AofEntry&) const = default;
};

// "appendonly.aof.manifest" in the folder; empty: there is none, or more than one.
std::string find_manifest(const std::string& folder);
std::vector<AofEntry> read_manifest(const std::string& folder);
// What a server writes while it has none yet: it was switched on, and its first rewrite goes on.
bool has_temporary_changes(const std::string& folder);
// Names the folder and a file in it, and no others that come in their place.
std::string aof_line(const std::string& folder, const Fd& file);

class AofFolder {
public:
    explicit AofFolder(std::string path);

    std::string line() const { return aof_line(path_, files_.back().fd); }  // of the last file
    std::uint64_t bytes() const;
    struct End {
        std::uint64_t place = 0;
        std::uint32_t database = 0;  // that is selected there
    };
    // Into FOLDER/appendonlydir. With `whole_commands`, the last file only up to where a command or transaction ends:
    // this is returned, and the rest may be half written.
    End copy_to(World& world, const std::string& folder, bool whole_commands) const;

private:
    struct File {
        AofEntry entry;
        Fd fd;
    };
    const std::string path_;
    std::vector<File> files_;  // the base first
};

}  // namespace holdfast::redis
