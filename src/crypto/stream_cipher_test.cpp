#include "crypto/stream_cipher.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <memory>
#include <random>

#include "crypto/crypto.h"

namespace holdfast::crypto {
namespace {

Secret some_key() {
    Bytes key(key_bytes);
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(7 * i + 1);
    return Secret(key);
}

Bytes some_bytes(std::size_t count) {
    std::mt19937 random(static_cast<unsigned>(count));
    Bytes out(count);
    for (std::uint8_t& each : out) each = static_cast<std::uint8_t>(random());
    return out;
}

// By the definition: the block cipher alone, upon a counter of 128 bits, byte by byte.
Bytes by_definition(const Secret& key, std::uint64_t offset, ByteView in) {
    const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    EVP_EncryptInit_ex(context.get(), EVP_aes_256_ecb(), nullptr, key.reveal().data(), nullptr);
    Bytes out;
    std::array<std::uint8_t, 16> stream{};
    for (std::size_t i = 0; i < in.size(); ++i) {
        const std::uint64_t at = offset + i;
        if (i == 0 || at % 16 == 0) {
            std::array<std::uint8_t, 16> counter{};
            for (std::size_t byte = 0; byte < 8; ++byte)
                counter[15 - byte] = static_cast<std::uint8_t>(at / 16 >> (8 * byte));
            int done = 0;
            EVP_EncryptUpdate(context.get(), stream.data(), &done, counter.data(), 16);
        }
        out.push_back(static_cast<std::uint8_t>(in[i] ^ stream[at % 16]));
    }
    return out;
}

Bytes applied(const StreamCipher& cipher, std::uint64_t offset, ByteView in) {
    Bytes out(in.size());
    cipher.apply(offset, in, out.data());
    return out;
}

TEST(StreamCipher, is_the_counter_mode_wherever_a_part_begins) {
    const StreamCipher cipher(some_key());
    constexpr std::uint64_t stretch = std::uint64_t{1} << 30, carry = std::uint64_t{1} << 36;
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{15}, std::uint64_t{16},
                                       std::uint64_t{4097}, stretch - 40, stretch, carry - 100, carry + 3})
        for (const std::size_t count : {0U, 1U, 15U, 16U, 17U, 300U, 5000U}) {
            const Bytes in = some_bytes(count);
            EXPECT_EQ(applied(cipher, offset, in), by_definition(some_key(), offset, in)) << offset << " " << count;
        }
}

TEST(StreamCipher, opens_what_it_sealed_in_other_pieces_and_in_place) {
    const StreamCipher cipher(some_key());
    const Bytes plain = some_bytes(100'000);
    Bytes sealed = applied(cipher, 5000, plain);
    EXPECT_NE(sealed, plain);
    const StreamCipher other(some_key());
    for (std::size_t at = 0; at < sealed.size(); at += 777) {
        const MutableByteView piece =
            MutableByteView(sealed).subspan(at, std::min<std::size_t>(777, sealed.size() - at));
        other.apply(5000 + at, piece, piece.data());
    }
    EXPECT_EQ(sealed, plain);
}

}  // namespace
}  // namespace holdfast::crypto
