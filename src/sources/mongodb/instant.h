// sources/mongodb/instant.h: makes one instant of collections that are read one after the other, or says that there is none.
//
// Shape    before collections are listed: log_begins(); before the first read: choose(); each read: add_to(query); after the
//          last: newest_safe_entry()
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
    // From where the oplog has all that happens from now on; nothing where there is none.
    static std::optional<std::uint64_t> log_begins(Client& client);
    struct Reading {
        std::optional<Namespace> any;             // a collection that exists
        std::uint64_t bytes = 0;                  // how much will be read
        std::optional<std::uint64_t> log_begins;  // from before it was listed
        std::optional<Namespace> capped = {};     // one that is
    };
    static Instant choose(Client& client, Consistency wanted, const Reading& reading);

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
    bool reads_majority_ = false;  // nothing that an election can still take back
};

constexpr std::string_view consistent_by_oplog = "one instant, by the oplog";
constexpr std::string_view not_one_instant = "not one instant";

// The newest entry that no election takes back, once all that was read is in front of it.
Bytes newest_safe_entry(Client& client);

}  // namespace holdfast::mongodb
