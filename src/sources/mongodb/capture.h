// sources/mongodb/capture.h: databases as items: each database's metadata, each collection's documents as they lie there.
//
// Shape    documents are raw BSON in the order of _id (capped: as inserted), so that captures share what did not change
// Errors   source_failed
// Threads  as Capture says; a connection for each thread that reads
// Limits   a batch of documents a reader
#pragma once

#include <memory>

#include "source/source.h"
#include "sources/mongodb/options.h"

namespace holdfast::mongodb {

// Why users and roles are not in the capture.
constexpr std::string_view users_fact = "about users";

std::unique_ptr<Capture> begin_capture(World& world, const CaptureOptions& options);

}  // namespace holdfast::mongodb
