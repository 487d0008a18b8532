// sources/redis/follower.h: follows a server's stream of changes, as a replica that keeps it.
//
// Shape    a thread reads the stream into a sealed spool at once, so that the server never waits for the repository;
//          read() takes stretches from there. Times come from asking the server for its offset each 100 ms: what it had
//          then was made by then, however late it arrives
// Errors   source_failed
// Threads  as Follower says; of its own one for the stream, and one that asks Sentinels
// Limits   the spool grows while the repository is slower than the server, or away, up to CaptureOptions::spool_bytes_max;
//          then the server is left until half of that is stored, and goes on from there if its backlog reaches so far
// I1  what is acknowledged to the server is what durable() was told, so that WAIT counts what is safe
#pragma once

#include <memory>

#include "source/source.h"
#include "sources/redis/options.h"

namespace holdfast::redis {

std::unique_ptr<Follower> follow(const FollowRequest& request, const CaptureOptions& options);

}  // namespace holdfast::redis
