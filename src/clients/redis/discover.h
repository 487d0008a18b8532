// clients/redis/discover.h: which server is meant: a master that Sentinels or a cluster know, or a replica of it.
//
// Errors   as clients/redis/connection.h
#pragma once

#include "base/error.h"
#include "base/world.h"
#include "clients/redis/endpoint.h"

namespace holdfast::redis {

// Asks the Sentinel of the endpoint, or the cluster for the master of its slot, if it names one. With `prefer_replica`, a replica that is in step is chosen, so that
// the master need not fork; the master when there is none.
Endpoint discover(World& world, const Endpoint& endpoint, bool prefer_replica, Code failure);

// The master that the first Sentinel that knows one names, without a word of those before; nothing when none does.
std::optional<Endpoint> named_master(World& world, const Endpoint& endpoint, Code failure);

}  // namespace holdfast::redis
