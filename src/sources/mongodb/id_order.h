// sources/mongodb/id_order.h: a key of bytes that sorts as a server sorts values of _id, as far as that is simple.
//
// Limits   numbers beyond 2^53, nested values and collations may sort otherwise: who uses it must bear that
// Threads  pure
#pragma once

#include <string>

#include "clients/mongodb/bson.h"

namespace holdfast::mongodb {

std::string order_key(const Element& id);

}  // namespace holdfast::mongodb
