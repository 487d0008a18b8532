// sources/mongodb/tally.h: what collections hold, counted and summed up while an oplog changes them.
//
// Shape    begins with what the capture counted; each change takes away the hash of the document as it was and adds that of
//          the document as it is. So it never asks the target what came out, and a target that differs is found out:
//          documents that were lost or changed behind our back are not those that the capture summed up
// Threads  counts() and change() from any; the rest from one, while nobody else is in it
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "source/facts.h"
#include "source/order_free_sum.h"
#include "sources/mongodb/names.h"

namespace holdfast::mongodb {

// What some changes of one collection made of it.
struct TallyChange {
    OrderFreeSum gone, come;
    // Of documents that were there, as the oplog says, and were not found: how many go, and whether there are any.
    std::uint64_t missing = 0;
    bool has_missing = false;
};

class Tally {
public:
    // Of a collection in the base, what was read of it: also where the capture does not vouch for it, since the oplog
    // changed it meanwhile.
    void begin(const Namespace& name, const Facts& captured);
    void begin_empty(const Namespace& name);
    void forget(const Namespace& name) { counts_.erase(name); }
    void rename(const Namespace& from, const Namespace& to);
    // Nobody knows any more what it holds.
    void lose(const Namespace& name, std::string_view why);
    bool counts(const Namespace& name) const;
    void change(const Namespace& name, const TallyChange& change);

    // Documents and content; of what is not known, that it is not.
    std::vector<Fact> facts(const Namespace& name) const;

private:
    struct Count {
        OrderFreeSum sum;
        std::uint64_t missing = 0;         // counted by it, and gone
        std::string no_count, no_content;  // why it is not known
    };
    mutable std::mutex mutex_;
    std::map<Namespace, Count> counts_;  // their values are guarded by mutex_ while change() may run
};

}  // namespace holdfast::mongodb
