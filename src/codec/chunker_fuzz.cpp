#include "codec/chunker.h"

#include <algorithm>

#include "base/error.h"

// The input chooses the sizes and how the bytes arrive: its chunks keep within their limits, add up to the
// input, and are the same as when all bytes are there at once.
void fuzz_chunker(holdfast::ByteView input) {
    using namespace holdfast;
    constexpr std::size_t header_bytes = 4;
    if (input.size() < header_bytes) return;
    const std::uint32_t min = 64U + input[0];
    const std::uint32_t mean = min + 1U + input[1];
    const codec::ChunkSizes sizes{.min = min, .mean = mean, .max = mean + 1U + input[2]};
    const std::size_t read_bytes = 1U + input[3];
    const codec::Chunker chunker(sizes, Secret::of_size(32));

    std::size_t held = 0;
    for (ByteView rest = input.subspan(header_bytes); !rest.empty();) {
        held = std::min(rest.size(), held + read_bytes);
        const bool last = held == rest.size();
        const std::size_t cut = chunker.first_cut(rest.first(held), last);
        if (cut == 0) {
            HF_ASSERT(!last && held < sizes.max);
            continue;
        }
        HF_ASSERT(cut == chunker.first_cut(rest, true));
        HF_ASSERT(cut <= sizes.max && cut <= held);
        HF_ASSERT(cut >= sizes.min || cut == rest.size());
        rest = rest.subspan(cut);
        held -= cut;
    }
}
