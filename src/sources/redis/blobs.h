// sources/redis/blobs.h: the compact forms in which small collections lie in RDB files.
//
// Shape    each_…(blob, element): the elements in order, numbers as their decimal text
// Errors   corrupt
// Limits   a blob is in memory as a whole; the server keeps them small by its …-max-listpack-… settings
// Source   redis: src/ziplist.c, src/listpack.c, src/intset.c, src/zipmap.c
#pragma once

#include <functional>

#include "base/bytes.h"

namespace holdfast::redis {

using Element = std::function<void(ByteView)>;

void each_of_ziplist(ByteView blob, const Element& element);
void each_of_listpack(ByteView blob, const Element& element);
void each_of_intset(ByteView blob, const Element& element);
void each_of_zipmap(ByteView blob, const Element& element);  // field, value, field, value …

// For makers of test files.
Bytes make_listpack(const std::vector<std::string>& elements);

}  // namespace holdfast::redis
