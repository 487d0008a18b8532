// testing/faulty_store.h: a store as bad as a seed makes it, and one client's death after its n-th write.
//
// Shape    one FaultyStore a client, all over one store; each has its own faults and dies alone
// Units    probabilities, 0 to 1, of each call; nanoseconds
// Errors   unreachable by chance; SimulatedCrash, which is no Error, from a dead client
// Threads  as store.h; one seed gives one run only when one thread asks
// I1  what the real stores promise holds here too: no half object under its name, no second creator
#pragma once

#include <deque>
#include <exception>
#include <mutex>

#include "store/decorator.h"
#include "testing/sim_world.h"

namespace holdfast {

struct Faults {
    double lost_reply = 0;     // done, then unreachable
    double failed_before = 0;  // unreachable, and nothing done
    double torn = 0;           // create: unreachable; part of the bytes lies under tmp/, where nobody looks
    double late = 0;           // the world's clock advances, by up to late_max
    Nanoseconds late_max = 60 * one_second;
    double stale_list = 0;  // list: as it may have been before any of this client's last recent_max writes
    std::size_t recent_max = 16;
    double flipped = 0;       // read and read_range: one bit is wrong
    double truncated = 0;     // … the end is missing
    double swapped = 0;       // … the bytes are another object's, one with the same first part of the name
    std::string prefix = "";  // only objects whose names start so are touched
};

class SimulatedCrash final : public std::exception {
public:
    const char* what() const noexcept override { return "simulated crash"; }
};

class FaultyStore final : public StoreDecorator {
public:
    FaultyStore(Store& inner, SimWorld& sim, Faults faults = {})
        : StoreDecorator(inner), sim_(sim), faults_(std::move(faults)) {}

    void set_faults(Faults faults);
    // The n-th write from now (create or remove; from 1) is done, and with it the client dies; with 0 it dies
    // at the next write, which is not done. From then on every call throws SimulatedCrash.
    void crash_after(std::uint64_t writes);
    void revive();
    bool crashed() const;  // Workers turn a SimulatedCrash into an Error, so ask here
    // How many writes reached the store, so a test can take each as a point to crash at.
    std::uint64_t writes() const;

    Created create(std::string_view name, ByteView bytes) override;
    std::optional<Bytes> read(std::string_view name) override;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;
    std::optional<ObjectInfo> find(std::string_view name) override;
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override;
    void remove(std::string_view name) override;
    std::optional<std::uint64_t> bytes_free() override;

private:
    struct Recent {
        ObjectInfo info;
        bool removed;
    };

    template <class Call>
    auto write(std::string_view name, const Call& call);
    template <class Call>
    auto ask(std::string_view name, const Call& call);
    Faults faults_for(std::string_view name) const;
    void stumble(const Faults& faults, std::string_view name);
    [[noreturn]] void lose(std::string_view name, std::string_view how) const;
    void leave_torn(std::string_view name, ByteView bytes);
    void remember(const ObjectInfo& info, bool removed);
    std::optional<std::string> neighbour_of(std::string_view name);
    void damage(const Faults& faults, Bytes& bytes);

    SimWorld& sim_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    Faults faults_;
    std::deque<Recent> recent_;  // newest last
    std::uint64_t writes_ = 0;
    std::uint64_t torn_ = 0;
    std::optional<std::uint64_t> crash_at_;  // a number of writes_
    bool crashed_ = false;
};

}  // namespace holdfast
