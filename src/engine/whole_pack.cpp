#include "engine/whole_pack.h"

#include "base/error.h"
#include "base/stopped.h"
#include "crypto/crypto.h"
#include "repo/names.h"

namespace holdfast::engine {

ObjectRead read_object(Store& store, const std::string& name) {
    try {
        return {store.read(name), std::nullopt};
    } catch (const Error& error) {
        if (is_stop(error.code()) || error.code() == Code::denied || !store.find(repo::names::config)) throw;
        return {std::nullopt, error.message()};
    }
}

PackRead read_whole_pack(Store& store, const repo::PackRef& pack) {
    for (int tries = 0; tries < 2; ++tries) {
        ObjectRead read = read_object(store, pack.object());
        if (read.unreadable) return {std::nullopt, "unreadable", *read.unreadable};
        if (!read.bytes) return {std::nullopt, "missing", "the store does not have it"};
        if (repo::PackId{crypto::sha256(*read.bytes)} == pack.id) return {.bytes = std::move(read.bytes)};
    }
    return {std::nullopt, "damaged", "its bytes are not those it is named by"};
}

}  // namespace holdfast::engine
