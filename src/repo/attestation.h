// repo/attestation.h: who reads says of a fragment that its chunks are what their ids stand for.
//
// Shape    attest/<fragment>: signed by somebody with the right to read; a writer then relies on chunks of an author whom it
//          would not believe by himself (doc/format/attest.md; review.md A2)
// Errors   unreachable; one that cannot be believed counts as absent
// Threads  one thread
#pragma once

#include <set>

#include "repo/index.h"
#include "repo/repository.h"

namespace holdfast::repo {

// Of the fragments in the logs, by name: a request for each whose author is not believed.
std::set<FragmentId> read_attestations(const Repository& repository);
void write_attestation(const Repository& repository, const FragmentId& fragment);

// Whose word about a chunk may cost another place of it: who may delete anyway, and fragments that a reader proved.
class Believed {
public:
    explicit Believed(const Repository& repository);
    bool operator()(const Fragment& fragment) const;

private:
    const Keyring& keys_;
    const std::set<FragmentId> attested_;
};

}  // namespace holdfast::repo
