// sources/mongodb/reading.h: the bytes of a capture's items, and what is learnt while they are read.
//
// Threads  Readings may be used from any thread; an ItemData has one owner
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "source/source.h"
#include "sources/mongodb/changes.h"
#include "sources/mongodb/documents.h"
#include "sources/mongodb/scope.h"

namespace holdfast::mongodb {

// Facts, and who still reads.
class Readings {
public:
    void add(std::vector<Fact> facts);
    // The end of the oplog may be looked up only once the last document was read.
    void expect(std::size_t collections);
    void begin();
    void done(bool whole);
    // Held by one at a time; others wait for it.
    std::shared_ptr<void> turn();
    // Of the collection that was listed, and not of another that has its name by now, all was read.
    void intact(const Namespace& name);
    bool is_intact(const Namespace& name);
    void wait_for_all(World& world);  // throws when one of them failed
    void touched(const std::string& item);
    void set_moment(Moment moment);
    Facts take(Consistency kind);
    const std::optional<Moment>& moment() const { return moment_; }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    Facts facts_;
    std::set<std::string> touched_;
    std::set<Namespace> intact_;
    std::optional<Moment> moment_;
    std::size_t left_ = 0;  // not read to their end yet
    std::size_t open_ = 0;  // of these
    bool is_broken_ = false;
    bool is_turn_taken_ = false;
};

std::unique_ptr<ItemData> bytes_data(Bytes bytes);
std::unique_ptr<ItemData> collection_data(ClientPool& pool, const StreamPlan& plan, Changes changes,
                                          Readings& readings);
struct OplogPlan {
    const Instant& instant;
    const Scope& scope;
    std::vector<Collection> captured;
};
// The oplog from the instant's beginning to after the last read, of what is in the scope.
std::unique_ptr<ItemData> oplog_data(ClientPool& pool, World& world, OplogPlan plan, Readings& readings);

}  // namespace holdfast::mongodb
