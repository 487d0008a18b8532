// testing/memory_store.h: the simplest store that keeps every promise of store.h.
//
// Errors   none of its own
// Threads  as store.h
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "store/store.h"

namespace holdfast {

class MemoryStore final : public Store {
public:
    struct Object {
        std::shared_ptr<const Bytes> bytes;
        Nanoseconds time = 0;
    };
    using Objects = std::map<std::string, Object, std::less<>>;

    explicit MemoryStore(const Clock& clock = system_clock(), StoreTraits traits = {})
        : clock_(clock), traits_(traits) {}

    std::string url() const override { return "memory"; }
    const StoreTraits& traits() const override { return traits_; }
    Created create(std::string_view name, ByteView bytes) override;
    std::optional<Bytes> read(std::string_view name) override;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;
    std::optional<ObjectInfo> find(std::string_view name) override;
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override;
    void remove(std::string_view name) override;

    // What tests do behind the back of the code they test. Objects share their bytes: a copy costs little.
    Objects objects() const;
    void set_objects(Objects objects);
    std::vector<std::string> names(std::string_view prefix = "") const;
    void overwrite(std::string_view name, Bytes bytes);  // damage that stays

private:
    std::shared_ptr<const Bytes> bytes_of(std::string_view name) const;

    const Clock& clock_;
    const StoreTraits traits_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    Objects objects_;
};

}  // namespace holdfast
