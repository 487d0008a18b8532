#include "base/error.h"
#include "codec/compress.h"

namespace {

constexpr std::size_t bytes_max = 1 << 20;

void decode(holdfast::codec::Decompressor& decompressor, holdfast::ByteView frame) {
    using namespace holdfast;
    Bytes plain;
    try {
        decompressor(codec::Codec::zstd, frame, bytes_max, plain);
        HF_ASSERT(plain.size() <= bytes_max);
    } catch (const Error& error) {
        HF_ASSERT(error.code() == Code::corrupt);
    }
}

}  // namespace

// Any bytes as a frame: corrupt, or no more than allowed. And any bytes as data: they come back, and their
// frame with a byte changed is again any frame.
void fuzz_decompress(holdfast::ByteView input) {
    using namespace holdfast;
    static codec::Compressor compressor;
    static codec::Decompressor decompressor;
    decode(decompressor, input);

    Bytes packed;
    Bytes plain;
    const codec::Codec codec = compressor(input, packed);
    HF_ASSERT(packed.size() <= input.size());
    decompressor(codec, packed, input.size(), plain);
    HF_ASSERT(equal(plain, input));
    if (codec != codec::Codec::zstd) return;
    packed[input.back() % packed.size()] ^= static_cast<std::uint8_t>(input.front() | 1U);
    decode(decompressor, packed);
}
