// repo/checkpoint.h: what logs, notes and collections said up to a moment, so that opening begins there.
//
// Shape    index/checkpoint-<day>: signed by who may collect; the first of a day stays that day's. It replaces nothing:
//          whoever finds none, or a damaged one, reads everything from the beginning
// Errors   none when it is looked for: what cannot be believed is a warning
// Threads  one thread
// I1  what it says was read to a lane's end by its author, and every collection it counts had its verdict
// I2  the clock only chooses where to look: a wrong one costs requests, never truth
// Source   doc/format/checkpoint.md
#pragma once

#include <optional>
#include <set>
#include <string>

#include "repo/index.h"
#include "repo/log.h"
#include "repo/notes.h"
#include "repo/repository.h"

namespace holdfast::repo {

struct Checkpoint {
    std::string day;  // "2026-03-01", by its author's clock
    LogBook::State log;
    std::uint64_t collections = 0;   // those up to here are in `excluded`
    std::set<PackId> excluded;       // of the packs that its fragments name
    NoteBook::Notes notes;           // of its snapshots
    std::set<SnapshotId> forgotten;  // are not among them
};

Bytes encode(const Checkpoint& checkpoint, const RepositoryId& repository, const crypto::SigningKey& author);
// corrupt when it is damaged, of another day, or not by a collector whom the root enrolled
Checkpoint decode_checkpoint(ByteView bytes, const Keyring& keys, const std::string& day);

// The last days, today first, and those of them that have one.
enum class DaysBack : std::uint8_t { few, more };
std::vector<std::string> checkpoint_days(Nanoseconds now, DaysBack back);
std::vector<std::string> with_checkpoint(Store& store, std::vector<std::string> days);
// The first of those days' that can be believed.
std::optional<Checkpoint> read_checkpoint(Store& store, const Keyring& keys, const std::vector<std::string>& days,
                                          Log& log);

// Writes today's when `entries` or more of the logs were read beyond the last one, or the index is in too many fragments, which
// it merges. For those who may collect; others, and who comes second on a day, write none.
void keep_checkpoint(Repository& repository, std::uint64_t entries);

}  // namespace holdfast::repo
