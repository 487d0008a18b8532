// store/measure.h: counts what is asked of a store and how many bytes travel.
//
// Units    bytes of objects: for create what was sent, for reads what came back, for list what it told
//          a request that a decorator below repeats counts once
// Threads  as store.h; traffic() may be asked while calls run
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "store/decorator.h"

namespace holdfast {

struct VerbTraffic {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
    std::uint64_t failures = 0;  // requests that threw; their bytes do not count
};

struct StoreTraffic {
    VerbTraffic create;
    VerbTraffic read;
    VerbTraffic read_range;
    VerbTraffic find;
    VerbTraffic list;
    VerbTraffic remove;

    std::uint64_t requests() const;
    std::uint64_t bytes_sent() const { return create.bytes; }
    std::uint64_t bytes_received() const { return read.bytes + read_range.bytes; }
};

// What several stores count in together; it may outlive them.
class TrafficMeter {
public:
    StoreTraffic traffic() const {
        const std::lock_guard lock(mutex_);
        return traffic_;
    }
    // Nothing for `bytes`: the request failed.
    void count(VerbTraffic StoreTraffic::*verb, std::optional<std::uint64_t> bytes);

private:
    mutable std::mutex mutex_;
    // guarded by mutex_
    StoreTraffic traffic_;
};

class MeasuredStore final : public StoreDecorator {
public:
    explicit MeasuredStore(std::unique_ptr<Store> inner,
                           std::shared_ptr<TrafficMeter> meter = std::make_shared<TrafficMeter>())
        : StoreDecorator(std::move(inner)), meter_(std::move(meter)) {}

    StoreTraffic traffic() const { return meter_->traffic(); }

    Created create(std::string_view name, ByteView bytes) override;
    std::optional<Bytes> read(std::string_view name) override;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;
    std::optional<ObjectInfo> find(std::string_view name) override;
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override;
    void remove(std::string_view name) override;

private:
    class Request;

    const std::shared_ptr<TrafficMeter> meter_;
};

}  // namespace holdfast
