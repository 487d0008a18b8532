// sources/redis/aof_follower.h: follows the append-only files of a server, instead of its stream to replicas: the server
// has one replica less, and does not know that it is followed.
//
// Shape    what the newest file has more than a moment ago was done by now; when the server begins a new one, it goes on
// Errors   source_failed
// Threads  as Follower says
// Limits   looks each 100 ms; begins anew when files were rewritten twice while nobody looked
#pragma once

#include <memory>

#include "source/source.h"
#include "sources/redis/options.h"

namespace holdfast::redis {

std::unique_ptr<Follower> follow_append_files(const FollowRequest& request, const CaptureOptions& options);

}  // namespace holdfast::redis
