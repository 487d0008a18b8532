// sources/mongodb/documents.h: the documents of one collection, one behind the other, in their stable order.
//
// Shape    a large collection is read by ranges of _id, several at once; what comes out is the same
// Errors   source_failed
// Threads  one owner; ranges are read by threads of its own
// Limits   of each range that is read, pieces_max pieces are in memory
#pragma once

#include <memory>

#include "sources/mongodb/catalog.h"
#include "sources/mongodb/instant.h"

namespace holdfast::mongodb {

class DocumentStream {
public:
    virtual ~DocumentStream() = default;
    virtual ByteView next() = 0;  // valid until the next call; empty at the end
};

struct StreamPlan {
    const Collection& collection;
    const Instant& instant;
    Size size;                      // of the collection, about
    std::uint64_t range_bytes = 0;  // collections larger than several of these are read by ranges
};
// Of these several at once, ranges or collections, would need too much memory.
bool are_large_documents(const Size& size);
std::unique_ptr<DocumentStream> open_documents(ClientPool& pool, const StreamPlan& plan);

}  // namespace holdfast::mongodb
