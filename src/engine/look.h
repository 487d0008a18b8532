// engine/look.h: the verbs that look: list, find, compare, give back one item's bytes, count.
//
// Errors   not_found, corrupt, unreachable
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/item.h"
#include "repo/repository.h"

namespace holdfast::engine {

// Calls `each` for what lies in `folder` (empty: the whole tree) in tree order; `deep`: also below sub-folders. A
// folder that is a file gives that file. not_found when there is no such path. `each` returns false to stop.
void list(repo::Repository& repository, const repo::Snapshot& snapshot, const std::string& folder, bool deep,
          const std::function<bool(const Item&)>& each);

// Items whose name (pattern without '/') or path matches the glob.
void find(repo::Repository& repository, const repo::Snapshot& snapshot, const std::string& pattern,
          const std::function<void(const Item&)>& each);

enum class Change : std::uint8_t { added, removed, content, metadata };
std::string_view name_of(Change change);
struct Difference {
    std::string path;
    Change change;
};
// Subtrees that are the same are not read. In tree order; `below` restricts to a folder.
void diff(repo::Repository& repository, const repo::Snapshot& from, const repo::Snapshot& to, const std::string& below,
          const std::function<void(const Difference&)>& each);

// The bytes of one item, in order (holes as zeros). Without a path the snapshot must hold exactly one item with
// content, else usage. The path of a folder is refused (usage).
void dump(repo::Repository& repository, const repo::Snapshot& snapshot, const std::string& path,
          const std::function<void(ByteView)>& write);

struct Stats {
    std::uint64_t snapshots = 0;
    std::uint64_t packs = 0;
    std::uint64_t chunks = 0;
    std::uint64_t bytes_logical = 0;  // of all snapshots, as their sources count them
    std::uint64_t bytes_unique = 0;   // sealed bytes that snapshots reach
    std::uint64_t bytes_stored = 0;   // of all objects in the store
};
Stats stats(repo::Repository& repository);

}  // namespace holdfast::engine
