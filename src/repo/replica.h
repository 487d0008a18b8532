// repo/replica.h: the marks of a store that holds a repository's objects byte for byte and that only replication writes to.
//
// Shape    replica/<n>, n dense from 0: a cut, which says how far each lane counts; replica/promoted: from then on it is an
//          ordinary repository. A store without replica/0000000000 is no replica
// Errors   corrupt (signature, form), unreachable; denied from ReplicaGuard
// Threads  one thread; ReplicaGuard as store.h
// I1  a cut is a state that the origin was in at one instant, and what it needs was in the store before it
// I2  who reads a replica reads each lane up to the newest cut, so several lanes move on at once
// Source   doc/format/replica.md; doc/adr/0013
#pragma once

#include <atomic>
#include <map>
#include <optional>

#include "repo/log.h"
#include "store/decorator.h"

namespace holdfast::repo {

using Cut = std::map<LaneName, std::uint64_t>;  // the first slot of a lane that does not count; not named: 0

// What the marks of a store say together.
struct Replica {
    std::uint64_t next = 0;  // the number of the next cut
    Cut cut;                 // the newest
    Nanoseconds time = 0;    // of it, by its author's clock
    bool promoted = false;
};

// Nothing: it is none and never was. `known`: read before, so that only what is new is asked for.
std::optional<Replica> read_replica(Store& store, const Config& config, const std::optional<Replica>& known = {});

// `credential`: the author's own, as the root signed it; it stands in the mark, so that a mark can be believed before any log
// is read.
Created write_cut(Store& store, const Keyring& keys, ByteView credential, std::uint64_t number, const Cut& cut,
                  Nanoseconds time);
Created write_promotion(Store& store, const Keyring& keys, ByteView credential, Nanoseconds time);

// Between a replica and everybody who opens it: reads pass, writes are refused.
class ReplicaGuard final : public StoreDecorator {
public:
    explicit ReplicaGuard(std::unique_ptr<Store> inner) : StoreDecorator(std::move(inner)) {}
    Created create(std::string_view name, ByteView bytes) override;
    void remove(std::string_view name) override;
    void lift() { lifted_ = true; }
    [[noreturn]] void refuse() const;

private:
    std::atomic<bool> lifted_{false};
};

}  // namespace holdfast::repo
