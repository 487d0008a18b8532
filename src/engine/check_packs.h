// engine/check_packs.h: reads packs whole and proves their bytes; remembers when it did.
//
// Shape    data: every chunk is opened, decompressed and its keyed id recomputed, so all bytes are covered (ADR 6).
//          meta, state: the pack's name is recomputed; the walk of the trees opens what snapshots reach
// Errors   damage goes to CheckFindings; unreachable when the store itself does not answer
// Threads  read() runs workers of its own
// Limits   packs_in_memory at a time
#pragma once

#include <map>

#include "engine/check_places.h"

namespace holdfast::engine {

// When this machine last read a pack and found it whole: `<client folder>/read/<repository>`. A hint for the order only.
class ReadBook {
public:
    explicit ReadBook(const repo::Repository& repository);
    Nanoseconds last_read(const repo::PackId& pack) const;
    void set(const repo::PackId& pack, Nanoseconds time);
    void save(const CheckPlaces& places) const;

private:
    using Prefix = Id<struct ReadTag, 16>;
    const repo::Repository& repository_;
    std::string path_;  // empty: none is kept
    std::map<Prefix, Nanoseconds> times_;
};

class CheckPacks {
public:
    CheckPacks(repo::Repository& repository, CheckPlaces& places, CheckFindings& findings, Progress& progress);
    // Reads what the plan asks for.
    void read(const CheckPlan& plan);
    std::uint64_t bytes_read() const { return bytes_read_; }
    const std::set<repo::PackId>& found_whole() const { return found_whole_; }

private:
    struct Problem {
        std::string kind, reason;
    };
    std::vector<CheckedPack*> choose(const CheckPlan& plan, const ReadBook& book) const;
    bool prove(CheckedPack& pack);
    std::optional<Problem> look_at(const CheckedPack& pack, std::optional<Bytes>& bytes);
    std::optional<Problem> problem_of(const CheckedPack& pack, ByteView bytes);
    void diagnose(CheckedPack& pack, const std::optional<Bytes>& bytes, const Problem& problem);

    repo::Repository& repository_;
    CheckPlaces& places_;
    CheckFindings& findings_;
    Progress& progress_;
    std::atomic<std::uint64_t> bytes_read_{0};
    std::set<repo::PackId> found_whole_;
};

}  // namespace holdfast::engine
