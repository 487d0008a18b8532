#include "sources/redis/crc64.h"

namespace holdfast::redis {

namespace {

using Tables = std::array<std::array<std::uint64_t, 256>, 8>;

// Eight bytes a step.
constexpr Tables make_tables() {
    constexpr std::uint64_t polynomial = 0x95ac9329ac4bc9b5ULL;
    Tables out{};
    for (std::uint64_t byte = 0; byte < 256; ++byte) {
        std::uint64_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ polynomial : crc >> 1;
        out[0][byte] = crc;
    }
    for (std::size_t byte = 0; byte < 256; ++byte)
        for (std::size_t t = 1; t < 8; ++t) out[t][byte] = out[0][out[t - 1][byte] & 0xff] ^ out[t - 1][byte] >> 8;
    return out;
}

constexpr Tables tables = make_tables();

}  // namespace

std::uint64_t crc64(std::uint64_t crc, ByteView bytes) {
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word = 0;
        for (int i = 7; i >= 0; --i) word = word << 8 | at[i];
        crc ^= word;
        crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff] ^
              tables[4][crc >> 24 & 0xff] ^ tables[3][crc >> 32 & 0xff] ^ tables[2][crc >> 40 & 0xff] ^
              tables[1][crc >> 48 & 0xff] ^ tables[0][crc >> 56];
    }
    for (; left > 0; ++at, --left) crc = tables[0][(crc ^ *at) & 0xff] ^ crc >> 8;
    return crc;
}

}  // namespace holdfast::redis
