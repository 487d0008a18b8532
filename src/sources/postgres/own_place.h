// sources/postgres/own_place.h: whether a target is the very server that was captured.
//
// Shape    by address as it was given, and by the system identifier that the server itself says
// Errors   none: a server that cannot be asked is not known to be it
// Threads  no shared state
#pragma once

#include <string>

#include "clients/postgres/endpoint.h"
#include "source/source.h"

namespace holdfast::postgres {

// Why it is; empty: it is not.
std::string is_own_place(const OwnPlaceRequest& request);
// `url`: of a source, as Endpoint::shown() has it.
bool has_address_of(const std::string& url, const Endpoint& target);

}  // namespace holdfast::postgres
