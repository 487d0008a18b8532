// store/decorator.h: a store that passes every call on to another; decorators override what they change.
//
// Threads  as store.h
#pragma once

#include "store/store.h"

namespace holdfast {

class StoreDecorator : public Store {
public:
    explicit StoreDecorator(std::unique_ptr<Store> inner) : owned_(std::move(inner)), inner_(*owned_) {}
    explicit StoreDecorator(Store& inner) : inner_(inner) {}  // lives longer

    std::string url() const override { return inner_.url(); }
    const StoreTraits& traits() const override { return inner_.traits(); }
    Created create(std::string_view name, ByteView bytes) override { return inner_.create(name, bytes); }
    std::optional<Bytes> read(std::string_view name) override { return inner_.read(name); }
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override {
        return inner_.read_range(name, offset, bytes);
    }
    std::optional<ObjectInfo> find(std::string_view name) override { return inner_.find(name); }
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override {
        inner_.list(prefix, each);
    }
    void remove(std::string_view name) override { inner_.remove(name); }
    void foresee(const Foreseen& soon) override { inner_.foresee(soon); }
    std::optional<Nanoseconds> clock_ahead() const override { return inner_.clock_ahead(); }
    std::optional<double> connection_speed() const override { return inner_.connection_speed(); }
    std::optional<std::uint64_t> bytes_free() override { return inner_.bytes_free(); }

protected:
    Store& inner() { return inner_; }

private:
    const std::unique_ptr<Store> owned_;
    Store& inner_;
};

// Sleeps by the world's clock, in steps short enough that a stop is noticed; throws as Stop::check().
void wait(World& world, Nanoseconds duration);

}  // namespace holdfast
