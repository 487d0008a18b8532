// sources/mongodb/restore_options.h: how databases come back.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "clients/mongodb/bson.h"
#include "clients/mongodb/endpoint.h"
#include "source/option_values.h"
#include "sources/mongodb/names.h"

namespace holdfast::mongodb {

struct RestoreOptions {
    // Of a collection that is there already: fail: refused when it holds documents; drop: goes, and is made anew; missing:
    // gets the documents whose _id it does not have; replace: gets all documents, others than those stay.
    Present present = Present::fail;
    std::string beside;
    std::vector<std::pair<std::string, std::string>> renames;  // "shop" or "shop/orders" to another such item path
    bool into_source = false;
    bool with_users = false;
    Bytes query;                // of documents that come back, as servers take it; empty: all
    bool older_server = false;  // than the captured one may be the target
};
RestoreOptions restore_options(const SourceOptions& options);  // throws usage

// A user of a URL is known in `admin` unless it says otherwise, for its database is the one that is restored.
Endpoint server_endpoint(const std::string& url);

}  // namespace holdfast::mongodb
