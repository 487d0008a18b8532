#include "sources/redis/counts.h"

#include <fmt/format.h>

namespace holdfast::redis {

void RdbCounts::function(ByteView raw) {
    if (passes_over_functions_) return;
    Hash128 hash(12);
    hash.string(raw);
    functions_.add(hash.value());
    ++function_count_;
}

void RdbCounts::end_key(const RdbKey& key, const Value& value) {
    if (only_ && key.database != *only_) return;
    if (takes_ && !takes_(key)) return;
    Database& database = databases_[key.database];
    Half& half = key.expiry_ms == no_expiry ? database.lasting : database.expiring;
    ++half.keys;
    ++half.by_class[static_cast<std::size_t>(value.kind)];
    half.digest.add(digest_of_key(as_bytes(key.name), value, key.expiry_ms));
    if (value.kind == ValueClass::module) ++opaque_;
}

std::uint64_t RdbCounts::keys() const {
    std::uint64_t out = 0;
    for (const auto& [number, each] : databases_) out += each.lasting.keys + each.expiring.keys;
    return out;
}

void RdbCounts::add_half(Facts& facts, const std::string& item, const std::string& prefix, const Half& half) {
    facts.list.push_back({item, prefix + "keys", fmt::format("{}", half.keys)});
    facts.list.push_back({item, prefix + "digest", half.digest.hex()});
    for (std::size_t i = 1; i < value_classes; ++i)
        if (half.by_class[i] > 0)
            facts.list.push_back({item, fmt::format("{}{} keys", prefix, name_of(static_cast<ValueClass>(i))),
                                  fmt::format("{}", half.by_class[i])});
}

Facts RdbCounts::facts(const std::vector<std::uint64_t>& databases) const {
    Facts out;
    out.basis = "same-view";
    std::map<std::uint64_t, Database> all = databases_;
    for (const std::uint64_t number : databases) all.try_emplace(number);
    for (const auto& [number, each] : all) {
        add_half(out, fmt::format("{}", number), "", each.lasting);
        add_half(out, fmt::format("{}", number), "expiring ", each.expiring);
    }
    out.list.push_back({"server", "functions", fmt::format("{}", function_count_)});
    out.list.push_back({"server", "functions digest", functions_.hex()});
    out.list.push_back({"", "about rdb version", fmt::format("{}", version_)});
    out.list.push_back({"", "about values of modules", fmt::format("{}", opaque_)});
    if (const auto found = aux_.find("redis-ver"); found != aux_.end())
        out.list.push_back({"", "about server version", found->second});
    out.sort();
    return out;
}

}  // namespace holdfast::redis
