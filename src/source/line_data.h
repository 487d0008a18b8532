// source/line_data.h: an item's bytes that are lines, each of which stays while others around it change: the rows of a
// table. They are looked for one by one (doc/format/lines.md).
//
// Shape    a capture's open() gives one instead of a plain ItemData; it has no holes
#pragma once

#include "source/source.h"

namespace holdfast {

class LineData : public ItemData {};

}  // namespace holdfast
