// engine/check_places.h: every chunk that the index knows, and whether its pack is in the store.
//
// Shape    one scan of the index: packs with a keyed sum over their records, chunks as sorted 8-byte tags
// Errors   what is wrong with fragments and packs goes to CheckFindings; unreachable
// Threads  built by one thread; then every member from any thread
// Limits   12 bytes a chunk and about 100 a pack
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/check_findings.h"
#include "repo/index.h"

namespace holdfast::engine {

struct CheckedPack {
    repo::PackRef ref;
    std::uint64_t bytes = 0;
    std::uint64_t chunks = 0;
    std::uint64_t sum = 0;               // over its records
    bool present = false;                // in the store, as long as it must be
    std::optional<DamageNumber> damage;  // of the whole pack: none of its chunks can be had there
};

// A term of CheckedPack::sum, for a record as the index or a pack itself has it.
std::uint64_t record_term(const repo::Keyring& keys, const repo::ChunkPrefix& id, std::uint32_t offset,
                          std::uint32_t length);

class CheckPlaces {
public:
    CheckPlaces(repo::Repository& repository, CheckFindings& findings);

    std::vector<CheckedPack>& packs() { return packs_; }
    const std::vector<CheckedPack>& packs() const { return packs_; }
    std::uint64_t chunks() const { return tags_.size(); }
    const CheckedPack* pack(const repo::PackId& id) const;

    // The index's records of one pack. Slow: for packs that were found damaged.
    struct Record {
        repo::ChunkPrefix id;
        std::uint32_t offset = 0;
        std::uint32_t length = 0;
    };
    std::vector<Record> records_of(const repo::PackRef& pack) const;

    void set_length(const repo::ChunkId& id, std::size_t plain_bytes);
    // A chunk cannot be had from this pack.
    void add_bad(const repo::PackId& pack, const repo::ChunkPrefix& id, DamageNumber damage);
    // After the last add_bad(): works out which chunks can be had nowhere.
    void settle();

    struct Fact {
        std::uint32_t length = 0;            // of the plaintext; 0: not known
        std::optional<DamageNumber> damage;  // it can be had nowhere
    };
    Fact fact(const repo::ChunkId& id) const;
    // The damage by which a chunk or node that was just found unreadable is to be named.
    DamageNumber blame(const repo::ChunkId& id, const std::string& reason);
    // Packs with damage of any kind.
    std::set<repo::PackId> damaged_packs() const;

private:
    using Stored = std::map<repo::PackRef, std::uint64_t>;  // bytes
    Stored list_packs() const;
    bool is_collected(const repo::PackRef& pack, const Stored& stored) const;
    void scan_index(const Stored& stored);
    void scan_fragment(repo::Fragment& fragment, const Stored& stored);
    void compare_with_store(const Stored& stored);
    std::optional<std::size_t> number_of(std::uint64_t tag) const;
    std::vector<repo::Location> places_of(const repo::ChunkPrefix& id) const;
    bool can_be_had(const repo::ChunkPrefix& id) const;

    repo::Repository& repository_;
    CheckFindings& findings_;
    std::vector<CheckedPack> packs_;
    std::unordered_map<repo::PackId, std::size_t, IdHash> number_of_pack_;
    std::vector<std::uint64_t> tags_;                           // sorted: the first bytes of the ids
    std::vector<std::uint64_t> collected_;                      // the same, of places in packs that were collected
    std::vector<std::uint32_t> lengths_;                        // beside tags_
    std::vector<std::pair<std::uint64_t, DamageNumber>> lost_;  // sorted by tag
    struct Bad {
        repo::ChunkPrefix id;
        repo::PackId pack;
        DamageNumber damage = 0;  // says nothing about which place is meant
        bool operator==(const Bad& other) const { return id == other.id && pack == other.pack; }
        auto operator<=>(const Bad& other) const { return std::tie(id, pack) <=> std::tie(other.id, other.pack); }
    };
    std::mutex mutex_;
    std::vector<Bad> bad_;           // guarded by mutex_ until settle()
    std::set<repo::PackId> blamed_;  // guarded by mutex_
};

}  // namespace holdfast::engine
