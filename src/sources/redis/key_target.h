// sources/redis/key_target.h: where keys of a restore go, one after another.
//
// Shape    version, functions, … begin_key, value in pieces, end_key, …, finish
// Errors   target_failed, no_space
// Threads  one at a time
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "source/source.h"
#include "sources/redis/rdb.h"

namespace holdfast::redis {

class KeyTarget {
public:
    virtual ~KeyTarget() = default;
    virtual void add_database(std::uint64_t /*number*/) {}  // before the first key of any
    virtual void version(int number) = 0;
    // What the server ran with, as a file of this name; nobody applies it.
    virtual void setting(const std::string& /*name*/, const std::string& /*text*/) {}
    virtual void function(ByteView raw) = 0;
    virtual void module_aux(ByteView raw) = 0;
    virtual void begin_key(const RdbKey& key, std::uint64_t value_bytes) = 0;
    virtual void value(ByteView raw) = 0;
    virtual void end_key() = 0;
    // Everything of the snapshot is there. Then the journal may follow.
    virtual void end_keys() = 0;
    virtual std::unique_ptr<Replay> replay(const ReplayRequest&) { return nullptr; }
    virtual std::uint64_t left_alone() const { return 0; }  // keys that were there already
    // Keys that came to where they are wanted, when that is not all that begin_key() was told of.
    virtual std::optional<std::uint64_t> written() const { return std::nullopt; }
    virtual std::vector<Finding> finish() = 0;
    // After finish(): what it has got, when the facts of the snapshot do not say that.
    virtual std::optional<Facts> instant() const { return std::nullopt; }
};

std::unique_ptr<KeyTarget> data_folder(const RebuildRequest& request);
std::unique_ptr<KeyTarget> server_target(const RebuildRequest& request);

}  // namespace holdfast::redis
