// engine/attest.h: opens what writers stored and vouches for it, so that other writers need not store it again.
//
// Errors   denied: this key does not read; unreachable
// Threads  one thread
// Source   review.md A2
#pragma once

#include <string>
#include <vector>

#include "engine/progress.h"
#include "repo/repository.h"

namespace holdfast::engine {

struct AttestReport {
    struct Refused {
        std::string fragment;  // its object
        std::string author;    // key slot
        std::string why;
    };
    std::uint64_t attested = 0;  // fragments
    std::uint64_t already = 0;   // needed none: attested before, or of an author whom all believe
    std::uint64_t chunks = 0;    // opened
    std::vector<Refused> refused;
};
// One that does not hold what it says is refused, and said so; the others are attested all the same.
AttestReport attest(repo::Repository& repository, Progress& progress);

}  // namespace holdfast::engine
