#include "repo/domains.h"

#include <fmt/format.h>

namespace holdfast::repo {

namespace {

Secret chunk_id_key(const Secret& root_secret, std::string_view domain) {
    return crypto::derive(root_secret.reveal(), {}, fmt::format("chunk ids 1 {}", domain));
}

}  // namespace

DomainKeys domain_keys(const Secret& root_secret, std::string_view domain) {
    return {chunk_id_key(root_secret, domain),
            crypto::derive(root_secret.reveal(), {}, fmt::format("cut table 1 {}", domain)),
            crypto::derive(root_secret.reveal(), {}, fmt::format("bundle 1 {}", domain))};
}

Domains::Domains(crypto::IdSuite suite, codec::ChunkSizes sizes, std::string name,
                 const std::optional<Secret>& root_secret, const std::optional<DomainKeys>& own)
    : suite_(suite), sizes_(sizes), own_(std::move(name)), root_secret_(root_secret), keys_(own) {
    if (root_secret_ || keys_) learn(own_);
}

Domains::Domains(const Domains& other)
    : suite_(other.suite_),
      sizes_(other.sizes_),
      own_(other.own_),
      root_secret_(other.root_secret_),
      keys_(other.keys_) {
    const std::lock_guard lock(other.mutex_);
    ids_ = other.ids_;
    last_ = other.last_;
}

void Domains::learn(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (ids_.contains(name)) return;
    if (root_secret_)
        ids_.emplace(name, crypto::IdKey(suite_, chunk_id_key(*root_secret_, name)));
    else if (keys_ && name == own_)
        ids_.emplace(name, crypto::IdKey(suite_, keys_->chunk_ids));
    else
        return;
    if (!last_) last_ = ids_.begin()->second;
}

std::shared_ptr<const Domain> Domains::find(const std::string& name) const {
    {
        const std::lock_guard lock(mutex_);
        if (!ids_.contains(name)) return nullptr;
    }
    const DomainKeys keys = root_secret_ ? domain_keys(*root_secret_, name) : *keys_;
    return std::make_shared<const Domain>(Domain{name, {suite_, keys.chunk_ids}, {sizes_, keys.cuts}, keys.bundles});
}

bool Domains::any(const std::function<bool(const crypto::IdKey&)>& is_so) const {
    std::optional<crypto::IdKey> first;
    {
        const std::lock_guard lock(mutex_);
        first = last_;
    }
    if (!first) return false;
    if (is_so(*first)) return true;
    std::map<std::string, crypto::IdKey> all;
    {
        const std::lock_guard lock(mutex_);
        if (ids_.size() == 1) return false;
        all = ids_;
    }
    for (const auto& [name, key] : all) {
        if (!is_so(key)) continue;
        const std::lock_guard lock(mutex_);
        last_ = key;
        return true;
    }
    return false;
}

}  // namespace holdfast::repo
