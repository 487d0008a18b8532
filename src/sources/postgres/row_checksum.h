// sources/postgres/row_checksum.h: a checksum of a table's rows, of each the line that COPY prints without its break.
#pragma once

#include "source/order_free_sum.h"

namespace holdfast::postgres {

class RowChecksum : public OrderFreeSum {
public:
    std::uint64_t rows() const { return count(); }
};

}  // namespace holdfast::postgres
