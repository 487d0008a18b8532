// app/replica_copy.h: `copy` to a replica, once or again and again, and what it prints.
//
// Errors   what engine/replicate.h throws; a finding is exit status 3
// Threads  one
#pragma once

#include "app/context.h"

namespace holdfast::app {

// Of whoever supervises a copy that is followed: all that was there before `began` is in the target.
void tell_whole(Output& out, Nanoseconds began);
void tell_trouble(Output& out, const Error& error, Nanoseconds lag, Nanoseconds pause);

struct ReplicaCopy {
    bool dry_run = false;
    bool compare = false;
    bool follow = false;
    std::optional<Nanoseconds> interval = {};
};

int run_replica_copy(Context& context, repo::Repository& from, Store& to, const ReplicaCopy& choice);

}  // namespace holdfast::app
