// repo/reach.h: what a node reaches, also for who cannot prove it.
//
// Shape    with a reader's key the node's id proves its R. A maintainer opens R alone, and whoever has a writer's key can
//          seal another R under the id of a node: so what is said by those who may delete anyway, or was proved by a
//          reader, counts alone; without any such place all count that somebody says
// Errors   corrupt when no place opens; unreachable
// Threads  one thread
// Source   doc/format/collection.md section 7.5; doc/adr/0014
#pragma once

#include <optional>
#include <vector>

#include "repo/attestation.h"
#include "repo/tree.h"

namespace holdfast::repo {

class Reach {
public:
    explicit Reach(const Repository& repository);

    using Claim = std::vector<Child>;  // sorted, each once
    // One of them is true; there are several only when somebody lied.
    std::vector<Claim> claims(const ChunkId& node) const;

private:
    ChunkReader& chunks_;
    Index& index_;
    std::optional<Believed> believed_;  // nothing: we can prove
};

}  // namespace holdfast::repo
