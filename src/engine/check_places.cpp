#include "engine/check_places.h"

#include <algorithm>

#include "base/error.h"
#include "repo/names.h"

namespace holdfast::engine {

namespace {

std::uint64_t tag_of(ByteView id) {
    std::uint64_t tag;
    std::memcpy(&tag, id.data(), sizeof tag);
    return tag;
}

// The index is asked by prefix only.
repo::ChunkId any_id_of(const repo::ChunkPrefix& prefix) { return repo::ChunkId::from(prefix.view()); }

}  // namespace

std::uint64_t record_term(const repo::Keyring& keys, const repo::ChunkPrefix& id, std::uint32_t offset,
                          std::uint32_t length) {
    std::array<std::uint8_t, 24> record;
    std::memcpy(record.data(), id.bytes.data(), 16);
    std::memcpy(record.data() + 16, &offset, 4);
    std::memcpy(record.data() + 20, &length, 4);
    return crypto::tag64(keys.index_key(), record);
}

CheckPlaces::CheckPlaces(repo::Repository& repository, CheckFindings& findings)
    : repository_(repository), findings_(findings) {
    const Stored stored = list_packs();
    scan_index(stored);
    compare_with_store(stored);
}

CheckPlaces::Stored CheckPlaces::list_packs() const {
    Stored out;
    for (const repo::PackKind kind : {repo::PackKind::data, repo::PackKind::meta, repo::PackKind::state}) {
        const std::string& prefix = repo::prefix_of(kind);
        repository_.store().list(prefix, [&](const ObjectInfo& object) {
            if (const auto id = repo::PackId::from_hex_text(std::string_view(object.name).substr(prefix.size())))
                out[{kind, *id}] = object.bytes;
        });
    }
    return out;
}

bool CheckPlaces::is_collected(const repo::PackRef& pack, const Stored& stored) const {
    return repository_.index().excluded().contains(pack.id) && !stored.contains(pack);
}

void CheckPlaces::scan_index(const Stored& stored) {
    tags_.reserve(repository_.index().chunks());
    for (const auto& fragment : repository_.index().fragments()) {
        repository_.world().stop.check();
        const std::string object = repo::names::fragment(fragment->known().body.id);
        try {
            scan_fragment(*fragment, stored);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            findings_.add(object, "damaged", error.message(), "what lies in its packs may not be found");
        }
    }
    for (const repo::Index::Unloaded& each : repository_.index().unloaded())
        findings_.add(repo::names::fragment(each.known.body.id), "damaged", each.why,
                      "what only it names is not found");
    for (std::vector<std::uint64_t>* tags : {&tags_, &collected_}) {
        std::ranges::sort(*tags);
        const auto rest = std::ranges::unique(*tags);
        tags->erase(rest.begin(), rest.end());
    }
    lengths_.assign(tags_.size(), 0);
}

void CheckPlaces::scan_fragment(repo::Fragment& fragment, const Stored& stored) {
    struct Sum {
        std::uint64_t chunks = 0, sum = 0;
        bool is_collected = false;
    };
    std::unordered_map<repo::PackId, Sum, IdHash> sums;
    for (const auto& listed : fragment.packs()) sums[listed.ref.id].is_collected = is_collected(listed.ref, stored);
    repo::ChunkPrefix last;
    fragment.scan([&](const repo::ChunkPrefix& id, const repo::Location& place) {
        if (id < last) throw Error{Code::corrupt, "its records are not in order"};
        last = id;
        Sum& sum = sums[place.pack.id];
        (sum.is_collected ? collected_ : tags_).push_back(tag_of(id.view()));
        ++sum.chunks;
        sum.sum += record_term(repository_.keys(), id, place.offset, place.length);
    });
    for (const auto& listed : fragment.packs()) {
        const Sum& sum = sums[listed.ref.id];
        if (sum.is_collected) continue;
        const auto [at, fresh] = number_of_pack_.try_emplace(listed.ref.id, packs_.size());
        if (fresh) {
            packs_.push_back({listed.ref, listed.bytes, sum.chunks, sum.sum, false, {}});
            continue;
        }
        const CheckedPack& known = packs_[at->second];
        if (known.ref != listed.ref || known.bytes != listed.bytes || known.chunks != sum.chunks ||
            known.sum != sum.sum)
            throw Error{Code::corrupt, "it says of pack {} something else than another fragment",
                        listed.ref.id.short_hex()};
    }
}

void CheckPlaces::compare_with_store(const Stored& stored) {
    for (CheckedPack& pack : packs_) {
        // A listing is only a hint: what it misses is asked for.
        const auto listed = stored.find(pack.ref);
        std::optional<std::uint64_t> bytes;
        if (listed != stored.end())
            bytes = listed->second;
        else if (const auto found = repository_.store().find(pack.ref.object()))
            bytes = found->bytes;
        if (!bytes)
            pack.damage = findings_.add(pack.ref.object(), "missing", "the store does not have it");
        else if (*bytes != pack.bytes)
            pack.damage = findings_.add(pack.ref.object(), "damaged",
                                        fmt::format("it is {} bytes long, {} are expected", *bytes, pack.bytes));
        else
            pack.present = true;
    }
}

const CheckedPack* CheckPlaces::pack(const repo::PackId& id) const {
    const auto at = number_of_pack_.find(id);
    return at == number_of_pack_.end() ? nullptr : &packs_[at->second];
}

std::vector<CheckPlaces::Record> CheckPlaces::records_of(const repo::PackRef& pack) const {
    std::vector<Record> out;
    for (const auto& fragment : repository_.index().fragments()) {
        if (std::ranges::none_of(fragment->packs(), [&](const auto& listed) { return listed.ref == pack; })) continue;
        try {
            fragment->scan([&](const repo::ChunkPrefix& id, const repo::Location& place) {
                if (place.pack == pack) out.push_back({id, place.offset, place.length});
            });
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;  // scan_index() told of it
        }
    }
    return out;
}

std::optional<std::size_t> CheckPlaces::number_of(std::uint64_t tag) const {
    const auto at = std::ranges::lower_bound(tags_, tag);
    if (at == tags_.end() || *at != tag) return std::nullopt;
    return static_cast<std::size_t>(at - tags_.begin());
}

void CheckPlaces::set_length(const repo::ChunkId& id, std::size_t plain_bytes) {
    const auto number = number_of(tag_of(id.view()));
    if (!number) return;
    // Workers may meet two places of one chunk at the same time.
    std::atomic_ref(lengths_[*number]).store(static_cast<std::uint32_t>(plain_bytes), std::memory_order_relaxed);
}

void CheckPlaces::add_bad(const repo::PackId& pack, const repo::ChunkPrefix& id, DamageNumber damage) {
    const std::lock_guard lock(mutex_);
    bad_.push_back({id, pack, damage});
}

std::vector<repo::Location> CheckPlaces::places_of(const repo::ChunkPrefix& id) const {
    try {
        return repository_.index().find(any_id_of(id), true);
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;  // scan_index() told of it
        return {};
    }
}

bool CheckPlaces::can_be_had(const repo::ChunkPrefix& id) const {
    return std::ranges::any_of(places_of(id), [&](const repo::Location& place) {
        const CheckedPack* there = pack(place.pack.id);
        return there != nullptr && !there->damage && !std::ranges::binary_search(bad_, Bad{id, place.pack.id, 0});
    });
}

void CheckPlaces::settle() {
    std::ranges::sort(bad_);
    const auto lose = [&](const repo::ChunkPrefix& id, DamageNumber damage) {
        if (!can_be_had(id)) lost_.emplace_back(tag_of(id.view()), damage);
    };
    for (const Bad& bad : bad_) lose(bad.id, bad.damage);
    if (std::ranges::any_of(packs_, [](const CheckedPack& pack) { return pack.damage.has_value(); })) {
        for (const auto& fragment : repository_.index().fragments()) {
            try {
                fragment->scan([&](const repo::ChunkPrefix& id, const repo::Location& place) {
                    const CheckedPack* there = pack(place.pack.id);
                    if (there != nullptr && there->damage) lose(id, *there->damage);
                });
            } catch (const Error& error) {
                if (error.code() != Code::corrupt) throw;  // scan_index() told of it
            }
        }
    }
    std::ranges::sort(lost_);
}

CheckPlaces::Fact CheckPlaces::fact(const repo::ChunkId& id) const {
    const std::uint64_t tag = tag_of(id.view());
    const auto number = number_of(tag);
    if (!number) {
        const auto places = places_of(repo::prefix_of(id));
        if (std::ranges::binary_search(collected_, tag) && !places.empty())
            return {0, findings_.add(places.front().pack.object(), "missing",
                                     "it was collected, and is the only one with what snapshots need of it")};
        return {0, findings_.add(fmt::format("chunk {}", id.hex()), "missing", "the index has no place for it")};
    }
    const auto lost = std::ranges::lower_bound(lost_, tag, {}, [](const auto& one) { return one.first; });
    if (lost != lost_.end() && lost->first == tag) return {0, lost->second};
    return {lengths_[*number], std::nullopt};
}

DamageNumber CheckPlaces::blame(const repo::ChunkId& id, const std::string& reason) {
    const std::vector<repo::Location> places = places_of(repo::prefix_of(id));
    for (const repo::Location& place : places)
        if (const CheckedPack* there = pack(place.pack.id); there != nullptr && there->damage) return *there->damage;
    if (places.empty()) return findings_.add(fmt::format("chunk {}", id.hex()), "missing", reason);
    {
        const std::lock_guard lock(mutex_);
        for (const repo::Location& place : places) blamed_.insert(place.pack.id);
    }
    return findings_.add(places.front().pack.object(), "damaged", reason);
}

std::set<repo::PackId> CheckPlaces::damaged_packs() const {
    std::set<repo::PackId> out = blamed_;
    for (const Bad& bad : bad_) out.insert(bad.pack);
    for (const CheckedPack& pack : packs_)
        if (pack.damage) out.insert(pack.ref.id);
    return out;
}

}  // namespace holdfast::engine
