// sources/mongodb/scope.h: which databases and collections a source covers, by names and globs, now and in its oplog.
//
// Shape    covers(shop.orders); own_part(entry) is what of an entry concerns it. text() is a fact of each snapshot, so that a
//          restore knows the source's scope again whatever the journal holds
// Errors   corrupt for a text that is none
// Threads  values
#pragma once

#include <string>
#include <vector>

#include "sources/mongodb/names.h"
#include "sources/mongodb/oplog.h"
#include "sources/mongodb/options.h"

namespace holdfast::mongodb {

constexpr auto scope_fact = "about scope";

class Scope {
public:
    Scope() = default;  // everything but the server's own
    explicit Scope(const CaptureOptions& options);
    static Scope parse(const std::string& text);
    std::string text() const;

    bool covers_database(const std::string& name) const;
    // Buckets count as their time series; what $out fills counts, for it becomes another collection.
    bool covers(const Namespace& name) const;
    // The entry's document, one with fewer operations (which lies in `room`), or nothing. Transactions keep their parts,
    // though emptied.
    ByteView own_part(const OplogEntry& entry, Bytes& room) const;
    // A collection becomes covered by being renamed: what it held is in no capture before.
    bool is_entered_by(const OplogEntry& entry) const;

private:
    bool is_excluded(const std::string& path) const;
    bool concerns(const OplogEntry& operation) const;
    bool concerns_command(const OplogEntry& entry) const;

    std::vector<std::string> databases_, collections_, exclude_;
};

}  // namespace holdfast::mongodb
