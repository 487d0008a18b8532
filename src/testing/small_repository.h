// testing/small_repository.h: a repository in memory, with a world that a seed decides.
#pragma once

#include <memory>

#include "repo/repository.h"
#include "store/decorator.h"
#include "testing/memory_store.h"
#include "testing/sim_world.h"

namespace holdfast::testing_support {

inline repo::Unlock test_key(std::string_view text = "0123456789abcdef0123456789abcdef") {
    return {repo::Unlock::Way::keyfile, Secret(as_bytes(text))};
}

class SmallRepository {
public:
    explicit SmallRepository(std::uint64_t seed = 1, const repo::InitOptions& options = {})
        : sim(seed), store(sim.clock) {
        repo::InitOptions same_everywhere = options;
        same_everywhere.id_suite = crypto::IdSuite::hmac_sha256_lanes;
        repo::Repository::init(store, test_key(), same_everywhere, sim.world());
    }
    std::unique_ptr<repo::Repository> open(const std::string& client_folder = "") {
        return open_through(store, client_folder);
    }
    std::unique_ptr<repo::Repository> open_through(Store& other, const std::string& client_folder = "") {
        return repo::Repository::open(std::make_unique<StoreDecorator>(other), test_key(), {client_folder},
                                      sim.world());
    }
    // Changes one byte of an object.
    void flip(const std::string& name, std::size_t at) {
        Bytes bytes = *store.read(name);
        bytes.at(at) ^= 0x20;
        store.overwrite(name, std::move(bytes));
    }

    SimWorld sim;
    MemoryStore store;
};

// Bytes that do not compress, the same for the same number.
inline std::string noise(std::uint64_t number, std::size_t bytes) {
    SimRandom random(number);
    std::string out(bytes, '\0');
    random.fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
    return out;
}

}  // namespace holdfast::testing_support
