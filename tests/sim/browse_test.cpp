// What `mount` reads by, with many readers at once.
#include "engine/browse.h"

#include <atomic>
#include <thread>

#include "filled_repository.h"
#include "repo/session.h"

namespace holdfast::testing_support {
namespace {

TEST(ChunkCache, many_readers_share_one_that_holds_a_single_chunk) {
    FilledRepository small;
    const auto repository = small.open();
    std::vector<std::pair<repo::ChunkId, std::string>> chunks;
    {
        repo::Session session(*repository, repo::Session::Mode::write);
        for (std::uint64_t i = 0; i < 3; ++i) {
            const std::string plain = noise(i, 3000);
            chunks.emplace_back(session.packs().add(as_bytes(plain)).id, plain);
        }
        session.publish_and_close();
    }
    engine::ChunkCache cache(*repository, 1);
    std::atomic<std::size_t> wrong{0};
    {
        std::vector<std::jthread> readers;
        for (std::size_t reader = 0; reader < 8; ++reader)
            readers.emplace_back([&, reader] {
                for (std::size_t i = 0; i < 1500; ++i) {
                    const auto& [id, plain] = chunks[(reader + i * i) % chunks.size()];
                    if (i % 7 == 0) cache.fetch_ahead(id);
                    wrong += as_text(*cache.get(id)) == plain ? 0U : 1U;
                }
            });
    }
    EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace holdfast::testing_support
