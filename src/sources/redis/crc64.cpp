#include "sources/redis/crc64.h"

#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace holdfast::redis {

namespace {

constexpr std::uint64_t polynomial = 0x95ac9329ac4bc9b5ULL;  // the coefficient of x^63 is bit 0

using Tables = std::array<std::array<std::uint64_t, 256>, 8>;

// Eight bytes a step.
constexpr Tables make_tables() {
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

std::uint64_t by_tables(std::uint64_t crc, const std::uint8_t* at, std::size_t left) {
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word = 0;
        if constexpr (std::endian::native == std::endian::little)
            std::memcpy(&word, at, 8);
        else
            for (int i = 7; i >= 0; --i) word = word << 8 | at[i];
        crc ^= word;
        crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff] ^
              tables[4][crc >> 24 & 0xff] ^ tables[3][crc >> 32 & 0xff] ^ tables[2][crc >> 40 & 0xff] ^
              tables[1][crc >> 48 & 0xff] ^ tables[0][crc >> 56];
    }
    for (; left > 0; ++at, --left) crc = tables[0][(crc ^ *at) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)

// x^power modulo the polynomial, in the same order of bits.
constexpr std::uint64_t power_of_x(unsigned power) {
    std::uint64_t out = 1ULL << 63;
    for (unsigned i = 0; i < power; ++i) out = (out & 1) != 0 ? out >> 1 ^ polynomial : out >> 1;
    return out;
}

// Moves 16 bytes over the next `bits` bits. A product in this order of bits has one factor x too few, so the powers are
// lower by one.
template <unsigned bits>
__attribute__((target("pclmul,sse4.1"))) inline __m128i moved(__m128i value) {
    const __m128i powers =
        _mm_set_epi64x(static_cast<long long>(power_of_x(bits - 1)), static_cast<long long>(power_of_x(bits + 63)));
    return _mm_xor_si128(_mm_clmulepi64_si128(value, powers, 0x00), _mm_clmulepi64_si128(value, powers, 0x11));
}

__attribute__((target("pclmul,sse4.1"))) inline __m128i load(const std::uint8_t* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

// 16 bytes that have the same remainder as all before them are carried along, four such of every 64 bytes side by side.
__attribute__((target("pclmul,sse4.1"))) std::uint64_t by_products(std::uint64_t crc, const std::uint8_t* at,
                                                                   std::size_t left) {
    __m128i a = _mm_xor_si128(load(at), _mm_cvtsi64_si128(static_cast<long long>(crc)));
    __m128i b = load(at + 16), c = load(at + 32), d = load(at + 48);
    for (at += 64, left -= 64; left >= 64; at += 64, left -= 64) {
        a = _mm_xor_si128(moved<512>(a), load(at));
        b = _mm_xor_si128(moved<512>(b), load(at + 16));
        c = _mm_xor_si128(moved<512>(c), load(at + 32));
        d = _mm_xor_si128(moved<512>(d), load(at + 48));
    }
    b = _mm_xor_si128(moved<128>(a), b);
    c = _mm_xor_si128(moved<128>(b), c);
    d = _mm_xor_si128(moved<128>(c), d);
    for (; left >= 16; at += 16, left -= 16) d = _mm_xor_si128(moved<128>(d), load(at));
    std::array<std::uint8_t, 16> last;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(last.data()), d);
    return by_tables(by_tables(0, last.data(), last.size()), at, left);
}

bool has_products() {
    static const bool has = __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;
    return has;
}

#endif

}  // namespace

std::uint64_t crc64(std::uint64_t crc, ByteView bytes) {
#if defined(__x86_64__)
    if (bytes.size() >= 64 && has_products()) return by_products(crc, bytes.data(), bytes.size());
#endif
    return by_tables(crc, bytes.data(), bytes.size());
}

}  // namespace holdfast::redis
