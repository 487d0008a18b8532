#include "store/measure.h"

namespace holdfast {

void TrafficMeter::count(VerbTraffic StoreTraffic::*verb, std::optional<std::uint64_t> bytes) {
    const std::lock_guard lock(mutex_);
    VerbTraffic& traffic = traffic_.*verb;
    ++traffic.requests;
    traffic.bytes += bytes.value_or(0);
    if (!bytes) ++traffic.failures;
}

// Counts itself when it ends; as a failure unless done() was reached.
class MeasuredStore::Request {
public:
    Request(MeasuredStore& store, VerbTraffic StoreTraffic::*verb) : meter_(*store.meter_), verb_(verb) {}
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request() { meter_.count(verb_, bytes_); }
    void done(std::uint64_t bytes) { bytes_ = bytes; }

private:
    TrafficMeter& meter_;
    VerbTraffic StoreTraffic::*verb_;
    std::optional<std::uint64_t> bytes_;
};

std::uint64_t StoreTraffic::requests() const {
    return create.requests + read.requests + read_range.requests + find.requests + list.requests + remove.requests;
}

Created MeasuredStore::create(std::string_view name, ByteView bytes) {
    Request request(*this, &StoreTraffic::create);
    const Created created = inner().create(name, bytes);
    request.done(bytes.size());
    return created;
}

std::optional<Bytes> MeasuredStore::read(std::string_view name) {
    Request request(*this, &StoreTraffic::read);
    auto bytes = inner().read(name);
    request.done(bytes ? bytes->size() : 0);
    return bytes;
}

std::optional<Bytes> MeasuredStore::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    Request request(*this, &StoreTraffic::read_range);
    auto range = inner().read_range(name, offset, bytes);
    request.done(range ? range->size() : 0);
    return range;
}

std::optional<ObjectInfo> MeasuredStore::find(std::string_view name) {
    Request request(*this, &StoreTraffic::find);
    auto info = inner().find(name);
    request.done(0);
    return info;
}

void MeasuredStore::list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) {
    Request request(*this, &StoreTraffic::list);
    std::uint64_t bytes = 0;
    inner().list(prefix, [&](const ObjectInfo& info) {
        bytes += info.bytes;
        each(info);
    });
    request.done(bytes);
}

void MeasuredStore::remove(std::string_view name) {
    Request request(*this, &StoreTraffic::remove);
    inner().remove(name);
    request.done(0);
}

}  // namespace holdfast
