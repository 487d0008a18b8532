// sources/mongodb/own_place.h: whether a target is the very server or set that was captured.
//
// Shape    by addresses as they were given, and by the history that the server itself says
// Errors   none: a server that cannot be asked is not known to be it
// Threads  no shared state
#pragma once

#include <string>

#include "source/source.h"

namespace holdfast::mongodb {

// Why it is; empty: it is not.
std::string is_own_place(const OwnPlaceRequest& request);

}  // namespace holdfast::mongodb
