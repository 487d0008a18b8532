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

struct AofEntry {
    std::string name;
    std::uint64_t number = 0;
    char type = 0;  // b base, i changes, h no longer needed
    bool operator==(const AofEntry&) const = default;
};

// "appendonly.aof.manifest" in the folder; empty: there is none, or more than one.
std::string find_manifest(const std::string& folder);
std::vector<AofEntry> read_manifest(const std::string& folder);

class AofFolder {
public:
    explicit AofFolder(std::string path);

    // Names this folder, and no other that comes in its place.
    const std::string& identity() const { return identity_; }
    std::uint64_t bytes() const;
    // Into FOLDER/appendonlydir. With `whole_commands`, the last file only up to where a command or transaction ends:
    // its place is returned, and the rest may be half written.
    std::uint64_t copy_to(World& world, const std::string& folder, bool whole_commands) const;

private:
    struct File {
        AofEntry entry;
        Fd fd;
    };
    const std::string path_;
    std::string identity_;
    std::vector<File> files_;  // the base first
};

}  // namespace holdfast::redis
