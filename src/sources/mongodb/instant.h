// sources/mongodb/instant.h: makes one instant of collections that are read one after the other, or says that there is none.
//
// Shape    before the first read: choose(); each read: add_to(query); after the last: end()
// Errors   source_failed
// Threads  add_to() from any; the rest from one
#pragma once

#include <optional>
#include <string>

#include "sources/mongodb/names.h"
#include "sources/mongodb/oplog.h"
#include "sources/mongodb/options.h"

namespace holdfast::mongodb {

class Instant {
public:
    // `any`: a collection that exists, `bytes`: how much will be read.
    static Instant choose(Client& client, Consistency wanted, const std::optional<Namespace>& any, std::uint64_t bytes);

    Consistency kind() const { return kind_; }  // not automatic any more
    const std::string& line() const { return line_; }
    std::uint64_t oplog_from() const { return oplog_from_; }
    void add_to(Builder& find) const;
    // "one cluster time", for people
    std::string description() const;
    // Of a snapshot: the last change that it holds.
    std::optional<Moment> snapshot_moment(Client& client) const;

private:
    Consistency kind_ = Consistency::none;
    std::string line_;
    std::uint64_t cluster_time_ = 0;
    std::uint64_t oplog_from_ = 0;
};

// The newest entry that no election takes back, once all that was read is in front of it.
Bytes newest_safe_entry(Client& client);

}  // namespace holdfast::mongodb
