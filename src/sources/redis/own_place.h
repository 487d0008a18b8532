// sources/redis/own_place.h: whether a target is the very server that a snapshot was made of.
//
// Shape    by its address, or by what it says of itself: its run id, the history that it and its replicas share, also when one
//          of them has become a master since, or the cluster that it belongs to
// Errors   none of its own: a target that does not answer is not the source, as far as can be told
#pragma once

#include <string>

#include "source/source.h"

namespace holdfast::redis {

constexpr std::string_view run_id_fact = "about run id";
constexpr std::string_view history_fact = "about replication id";
constexpr std::string_view nodes_fact = "about cluster nodes";  // ids of all servers, with commas
constexpr std::string_view slots_fact = "about slots";          // of a cluster's master: "0-5460"

std::string is_own_place(const OwnPlaceRequest& request);

}  // namespace holdfast::redis
