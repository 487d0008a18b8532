// app/registry.h: the stores and sources that are built in; registry.cpp is the only file that names them.
//
// Errors   no_repository, usage for a URL that no store knows
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "source/served.h"
#include "source/source.h"
#include "store/examine.h"
#include "store/retry.h"

namespace holdfast::app {

std::span<const SourceType* const> source_types();
const SourceType* source_type(std::string_view kind);                  // nothing when there is none
const SourceType* source_type_of_argument(std::string_view argument);  // "files:/etc"; nothing for a plain name

// The databases of a source's server; null for kinds without any.
using DatabaseList = std::vector<ServedDatabase> (*)(World& world, const SourceOptions& options);
DatabaseList database_list(std::string_view kind);

enum class StoreUse : std::uint8_t { open, create };
struct StorePlace {
    std::string url;
    std::string endpoint = {};  // of an object store; empty: what the environment says
    std::string region = {};
    std::string storage_class = {};  // of packs of contents; empty: STANDARD
    std::string encryption = {};     // by the store; empty: the bucket's
    std::string kms_key = {};
    std::string profile = {};     // of the shared configuration; empty: what the environment says
    std::string addressing = {};  // "host" or "path"; empty: as usual
};
bool is_bucket(const StorePlace& place);
// What is to be known of a store by whoever looks after it.
Observations examine_store(const StorePlace& place, const ExaminePlan& plan, World& world);
// `budget`: how long a store that does not answer is asked again.
std::unique_ptr<Store> open_store(const StorePlace& place, StoreUse use, World& world, const RetryBudget& budget = {});

}  // namespace holdfast::app
