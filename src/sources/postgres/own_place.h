// sources/postgres/own_place.h: whether a target is the very server that was captured.
//
// Shape    by address as it was given, and by the system identifier that the server itself says
// Errors   none: a server that cannot be asked is not known to be it
// Threads  no shared state
#pragma once

#include <string>

#include "source/source.h"

namespace holdfast::postgres {

// Why it is; empty: it is not.
std::string is_own_place(const OwnPlaceRequest& request);

}  // namespace holdfast::postgres
