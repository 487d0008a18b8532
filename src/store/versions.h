// store/versions.h: what a store that keeps old versions can tell of them.
//
// Shape    each kind of store that may keep versions is one of these, too
// Errors   unreachable, denied (naming the right that a policy lacks); failed: this store does not tell
// Threads  one
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/world.h"

namespace holdfast {

struct ObjectVersion {
    std::string name;
    std::string version;  // as the store names it
    std::string sum;      // of its bytes, by the store: equal ones say that the bytes are
    std::uint64_t bytes = 0;
    Nanoseconds time = 0;
};

class Versions {
public:
    virtual ~Versions() = default;
    // All that was ever put and is kept, the versions of one name together, the newest first. False: there are none.
    virtual bool list_versions(const std::function<void(const ObjectVersion&)>& each) = 0;
    virtual std::optional<Bytes> read_version(const ObjectVersion& version) = 0;
};

}  // namespace holdfast
