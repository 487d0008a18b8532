// Every kind of store, and every decorator over one, keeps the promises of store/store.h.
#include <unistd.h>

#include "base/file.h"
#include "conformance/store_suite.h"
#include "store/in_parts.h"
#include "store/limit.h"
#include "store/measure.h"
#include "store/retry.h"
#include "stores/local/local_store.h"
#include "testing/faulty_store.h"
#include "testing/memory_store.h"

namespace holdfast {

namespace {

StoreOpener local_place(LocalStore::Naming naming, const std::string& parent = "") {
    return [folder = std::make_shared<TemporaryFolder>("holdfast-store-", parent), naming] {
        return std::make_unique<LocalStore>(folder->path() + "/store", LocalStore::Open::create, naming);
    };
}

// Where a sync costs nothing: for what is not about the disk.
std::string memory_folder() { return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ""; }

StoreOpener unnamed_place() { return local_place(LocalStore::Naming::link_unnamed); }
StoreOpener linked_place() { return local_place(LocalStore::Naming::link_named, memory_folder()); }
StoreOpener renamed_place() { return local_place(LocalStore::Naming::rename_named, memory_folder()); }

struct SimPlace {
    SimWorld sim{1};
    MemoryStore memory{sim.clock};
};

template <class Decorate>
StoreOpener sim_place(const Decorate& decorate) {
    return [place = std::make_shared<SimPlace>(), decorate]() -> std::unique_ptr<Store> { return decorate(*place); };
}

StoreOpener memory_place() {
    return sim_place([](SimPlace& place) { return std::make_unique<StoreDecorator>(place.memory); });
}

StoreOpener measured_place() {
    return sim_place([](SimPlace& place) {
        return std::make_unique<MeasuredStore>(std::make_unique<StoreDecorator>(place.memory));
    });
}

StoreOpener limited_place() {
    return sim_place([](SimPlace& place) {
        const Bandwidth bandwidth{.up = 1'000'000'000, .down = 1'000'000'000};
        return std::make_unique<LimitedStore>(std::make_unique<StoreDecorator>(place.memory), bandwidth,
                                              place.sim.world());
    });
}

class SlowStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    std::optional<double> connection_speed() const override { return 1e6; }
};

StoreOpener place_in_parts() {
    return sim_place(
        [](SimPlace& place) { return std::make_unique<ReadInParts>(std::make_unique<SlowStore>(place.memory)); });
}

StoreOpener faultless_place() {
    return sim_place([](SimPlace& place) { return std::make_unique<FaultyStore>(place.memory, place.sim); });
}

// All threads sleep by one simulated clock, so a budget passes many times as fast as for one; also that before the
// first answer.
StoreOpener retried_place() {
    return sim_place([](SimPlace& place) {
        const Faults faults{.lost_reply = 0.2, .failed_before = 0.2, .late = 0.1};
        const RetryBudget budget{.total = 1'000'000 * one_second, .before_answer = 1'000'000 * one_second};
        return std::make_unique<RetryingStore>(std::make_unique<FaultyStore>(place.memory, place.sim, faults),
                                               place.sim.world(), budget);
    });
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Stores, StoreSuite,
                         testing::Values(StoreKind{"memory", memory_place}, StoreKind{"local", unnamed_place},
                                         StoreKind{"local_with_temporary_files", linked_place},
                                         StoreKind{"local_without_hard_links", renamed_place},
                                         StoreKind{"measured", measured_place}, StoreKind{"limited", limited_place},
                                         StoreKind{"read_in_parts", place_in_parts},
                                         StoreKind{"faulty_without_faults", faultless_place},
                                         StoreKind{"retried_faulty", retried_place}),
                         kind_name);

}  // namespace holdfast
