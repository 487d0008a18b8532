// repo/domains.h: the dedup domains whose keys this key has. What is stored in one is known to nobody who has another's only.
//
// Shape    who reads has the root secret, and by it every domain; a writer has the keys of its own; a maintainer has none
// Threads  all may be called at once
// Source   doc/format/keys.md section 5; review.md A2
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/secret.h"
#include "codec/chunker.h"
#include "crypto/crypto.h"

namespace holdfast::repo {

struct DomainKeys {
    Secret chunk_ids, cuts, bundles;
};
DomainKeys domain_keys(const Secret& root_secret, std::string_view domain);

// Chunks are stored by it: ids, cuts, and where shared chunks end.
struct Domain {
    std::string name;
    crypto::IdKey chunk_id;
    codec::Chunker chunker;
    Secret bundle_key;
};

class Domains {
public:
    // `own` are the keys of the domain `name`, where there is no root secret.
    Domains(crypto::IdSuite suite, codec::ChunkSizes sizes, std::string name, const std::optional<Secret>& root_secret,
            const std::optional<DomainKeys>& own);
    Domains(const Domains& other);
    Domains& operator=(const Domains&) = delete;

    void learn(const std::string& name);  // somebody's domain, whose keys come from the root secret
    std::shared_ptr<const Domain> find(const std::string& name) const;  // nothing: there is none, or it is others'
    // Is there a domain under whose ids this is so? The one that was right the last time is tried first.
    bool any(const std::function<bool(const crypto::IdKey&)>& is_so) const;

private:
    const crypto::IdSuite suite_;
    const codec::ChunkSizes sizes_;
    const std::string own_;
    const std::optional<Secret> root_secret_;
    const std::optional<DomainKeys> keys_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::map<std::string, crypto::IdKey> ids_;
    mutable std::optional<crypto::IdKey> last_;
};

}  // namespace holdfast::repo
