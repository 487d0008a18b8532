// store/store.h: what an object store promises.
//
// Shape    named, immutable objects; names are '/'-separated ASCII of letters, digits, '.', '-', '_', at most
//          object_name_bytes_max; no part is empty or begins with '.'; no name is the folder of another;
//          data/H, meta/H, state/H and index/H with 64 hexadecimal digits are named by the SHA-256 of their bytes
// Units    bytes
// Errors   unreachable (retry the same call), denied, no_space, corrupt (also for bytes that are not what their name
//          says, where the store compares); what may be absent is an optional
// Threads  every member may be called from any thread at any time
// I1  create() is create-if-absent: of all callers that create one name, exactly one gets `created`
// I2  when create() has returned, the object survives a crash of this machine, whole, under its name
// I3  a reader sees an object whole or not at all
// Source   doc/format/store.md, review.md B5
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/world.h"

namespace holdfast {

// What a kind of store can do; what it cannot is said at `init`.
struct StoreTraits {
    bool create_if_absent = true;       // false: one writer only, prune offline
    bool has_clock = false;             // ObjectInfo::time is the store's own clock, not a client's
    bool read_after_write_list = true;  // false: a listing may miss what was just created
    bool object_lock = false;
    bool is_remote = false;  // each call is a round trip of its own
};

struct ObjectInfo {
    std::string name;
    std::uint64_t bytes = 0;
    Nanoseconds time = 0;  // when it was created, by the store
};

// unseen: there is something, most likely from a first try whose reply was lost, and we may not look.
enum class Created : std::uint8_t { created, exists, unseen };

struct Foreseen {
    std::vector<std::string> read;
    std::vector<std::string> found = {};
};

class Store {
public:
    virtual ~Store() = default;
    virtual std::string url() const = 0;  // for messages; without secrets
    virtual const StoreTraits& traits() const = 0;

    virtual Created create(std::string_view name, ByteView bytes) = 0;
    virtual std::optional<Bytes> read(std::string_view name) = 0;
    // Fewer bytes than asked when the object ends earlier; nothing when it does not exist.
    virtual std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) = 0;
    virtual std::optional<ObjectInfo> find(std::string_view name) = 0;
    // Every object whose name starts with `prefix`, in no promised order. A hint, never the truth.
    virtual void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) = 0;
    virtual void remove(std::string_view name) = 0;  // absent is fine
    // These will be read or looked for soon. A hint that only saves time; see store/foreseen.h.
    virtual void foresee(const Foreseen&) {}
    // The store's clock less ours, when it answered last, to the second; nothing: it does not tell.
    virtual std::optional<Nanoseconds> clock_ahead() const { return std::nullopt; }
    // Bytes a second that one connection carried of late, when the store is far and knows.
    virtual std::optional<double> connection_speed() const { return std::nullopt; }
    // Bytes that can still be written, when the store knows.
    virtual std::optional<std::uint64_t> bytes_free() { return std::nullopt; }
};

constexpr std::size_t object_name_bytes_max = 512;
bool is_object_name(std::string_view name);
// Throws usage when a name breaks the rule above.
void check_object_name(std::string_view name);
// Of a name that nobody else gives (by its bytes, or at random). corrupt: the store has something else there, or says so.
void create_own(Store& store, std::string_view name, ByteView bytes);

}  // namespace holdfast
