#include "app/registry.h"

#include <array>

#include "app/versions.h"
#include "base/error.h"
#include "sources/command/command_source.h"
#include "sources/files/files_source.h"
#include "sources/mongodb/mongodb_source.h"
#include "sources/postgres/postgres_source.h"
#include "sources/redis/redis_source.h"
#include "store/retry_versions.h"
#include "stores/local/local_store.h"
#include "stores/s3/s3_store.h"

namespace holdfast::app {

namespace {

constexpr std::array<const SourceType*, 5> types{&files_source_type, &command_source_type, &postgres_source_type,
                                                 &mongodb_source_type, &redis_source_type};

std::unique_ptr<S3Store> bucket_of(const StorePlace& place, World& world, const RetryBudget& budget = {}) {
    return open_s3_store({place.url, place.endpoint, place.region, place.storage_class, place.encryption, place.kms_key,
                          place.profile, place.addressing, budget},
                         world);
}

// What fails on its way is asked again, by another name.
bool keeps_conditional_writes(S3Store& store, World& world) {
    constexpr int tries_max = 5;
    for (int tries = 1;; ++tries) {
        try {
            return store.probe_conditional_writes(world.random);
        } catch (const Error& error) {
            if (error.code() != Code::unreachable || tries == tries_max) throw;
        }
        world.clock.sleep(tries * one_second / 4);
    }
}

std::unique_ptr<Store> open_bucket(const StorePlace& place, StoreUse use, World& world, const RetryBudget& budget) {
    auto store = bucket_of(place, world, budget);
    if (use == StoreUse::create && !keeps_conditional_writes(*store, world))
        throw Error{Code::usage, "{} lets one writer overwrite what another one wrote", store->url()}
            .unharmed("no repository was made")
            .hint("It does not keep `If-None-Match: *`, on which everything rests; use another store.");
    return std::make_unique<RetryingStore>(std::move(store), world, budget);
}

std::string folder_of(const StorePlace& place) {
    std::string path = place.url;
    if (const std::size_t end = place.url.find("://"); end != std::string::npos) {
        const std::string scheme = place.url.substr(0, end);
        if (scheme != "file")
            throw Error{Code::usage, "no store knows URLs that begin with {}://", scheme}.hint(
                "Give the path of a folder, or `s3://BUCKET/PREFIX`.");
        path = place.url.substr(end + 3);
    }
    if (path.empty()) throw Error{Code::usage, "the repository's path is empty"};
    return path;
}

}  // namespace

bool is_bucket(const StorePlace& place) { return place.url.starts_with("s3://"); }

std::span<const SourceType* const> source_types() { return types; }

const SourceType* source_type(std::string_view kind) {
    for (const SourceType* type : types) {
        if (type->kind == kind) return type;
    }
    return nullptr;
}

const SourceType* source_type_of_argument(std::string_view argument) {
    const std::string_view scheme = argument.substr(0, argument.find(':'));
    if (scheme.size() == argument.size()) return nullptr;
    for (const SourceType* type : types) {
        if (type->scheme == scheme || type->other_scheme == scheme) return type;
    }
    return nullptr;
}

DatabaseList database_list(std::string_view kind) {
    if (kind == postgres_source_type.kind) return postgres::served_databases;
    if (kind == mongodb_source_type.kind) return mongodb::served_databases;
    return nullptr;
}

std::unique_ptr<Store> open_store(const StorePlace& place, StoreUse use, World& world, const RetryBudget& budget) {
    if (is_bucket(place)) return open_bucket(place, use, world, budget);
    const auto mode = use == StoreUse::create ? LocalStore::Open::create : LocalStore::Open::existing;
    return std::make_unique<LocalStore>(folder_of(place), mode);
}

std::unique_ptr<Versions> open_versions(const StorePlace& place, World& world, const RetryBudget& budget) {
    if (is_bucket(place)) return std::make_unique<RetryingVersions>(bucket_of(place, world, budget), world, budget);
    return nullptr;
}

Observations examine_store(const StorePlace& place, const ExaminePlan& plan, World& world) {
    if (is_bucket(place)) return bucket_of(place, world)->examine(plan);
    return LocalStore(folder_of(place), LocalStore::Open::existing).examine(world);
}

}  // namespace holdfast::app
