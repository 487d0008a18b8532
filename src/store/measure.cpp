#include "store/measure.h"

namespace holdfast {

// Counts itself when it ends; as a failure unless done() was reached.
class MeasuredStore::Request {
public:
    Request(MeasuredStore& store, VerbTraffic StoreTraffic::*verb) : store_(store), verb_(verb) {}
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request() {
        const std::lock_guard lock(store_.mutex_);
        VerbTraffic& traffic = store_.traffic_.*verb_;
        ++traffic.requests;
        if (done_) {
            traffic.bytes += bytes_;
        } else {
            ++traffic.failures;
        }
    }
    void done(std::uint64_t bytes) {
        bytes_ = bytes;
        done_ = true;
    }

private:
    MeasuredStore& store_;
    VerbTraffic StoreTraffic::*verb_;
    std::uint64_t bytes_ = 0;
    bool done_ = false;
};

std::uint64_t StoreTraffic::requests() const {
    return create.requests + read.requests + read_range.requests + find.requests + list.requests + remove.requests;
}

StoreTraffic MeasuredStore::traffic() const {
    const std::lock_guard lock(mutex_);
    return traffic_;
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
