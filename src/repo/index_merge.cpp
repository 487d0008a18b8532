#include "repo/index_merge.h"

#include <algorithm>
#include <map>

#include "repo/attestation.h"
#include "repo/index.h"
#include "repo/session.h"

namespace holdfast::repo {

namespace {

constexpr std::size_t fragments_max = 8;
constexpr std::size_t fragments_left_alone = 3;  // the largest ones
constexpr std::uint64_t merged_records_max = 2'000'000;

// A full holder signs what comes of merging, so what only its writer vouches for stays out of it.
std::vector<Fragment*> believed_by_all(const Repository& repository) {
    const std::set<FragmentId> attested = read_attestations(repository);
    std::vector<Fragment*> out;
    for (const auto& fragment : repository.index().fragments()) {
        const KnownFragment& known = fragment->known();
        if (repository.keys().trusts_chunks_of(known.author) || attested.contains(known.body.id))
            out.push_back(fragment.get());
    }
    return out;
}

}  // namespace

bool needs_merging(const Repository& repository) {
    return repository.index().fragments().size() > fragments_max && believed_by_all(repository).size() > fragments_max;
}

std::set<FragmentId> merge_fragments(Repository& repository, const std::set<PackId>& gone) {
    std::vector<Fragment*> small = believed_by_all(repository);
    if (small.size() <= fragments_left_alone) return {};
    std::ranges::stable_sort(small, {}, [](const Fragment* each) { return each->known().body.chunks; });
    small.resize(small.size() - fragments_left_alone);
    std::uint64_t total = 0;
    std::erase_if(small, [&](const Fragment* each) {
        total += each->known().body.chunks;
        return total > merged_records_max;
    });
    if (small.size() < 2) return {};

    std::vector<IndexedPack> packs;
    std::vector<IndexRecord> records;
    std::map<PackId, std::uint32_t> numbers;
    std::set<FragmentId> replaced;
    for (Fragment* each : small) {
        replaced.insert(each->known().body.id);
        for (const IndexedPack& pack : each->packs())
            if (!gone.contains(pack.ref.id) &&
                numbers.try_emplace(pack.ref.id, static_cast<std::uint32_t>(packs.size())).second)
                packs.push_back(pack);
        each->scan([&](const ChunkPrefix& id, const Location& place) {
            if (const auto pack = numbers.find(place.pack.id); pack != numbers.end())
                records.push_back({id, pack->second, place.offset, place.length});
        });
    }
    Session session(repository, Session::Mode::write);
    session.publish(encode_fragment(repository.keys(), packs, std::move(records), repository.world().random));
    session.publish_and_close();
    return replaced;
}

}  // namespace holdfast::repo
