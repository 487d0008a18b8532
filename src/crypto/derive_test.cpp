#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/test_help.h"

namespace holdfast::crypto {

namespace {

std::string derived(ByteView secret, ByteView salt, ByteView info, std::size_t bytes) {
    return to_hex(derive(secret, salt, as_text(info), bytes).reveal());
}

Code code_of(ByteView salt, Argon2Cost cost) {
    try {
        argon2id(as_bytes("password"), salt, cost);
    } catch (const Error& error) {
        return error.code();
    }
    return Code::internal;
}

TEST(Derive, gives_the_vectors_of_RFC_5869) {
    EXPECT_EQ(derived(repeated(0x0b, 22), counting(13), counting(10, 0xf0), 42),
              "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    EXPECT_EQ(derived(counting(80), counting(80, 0x60), counting(80, 0xb0), 82),
              "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
              "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
    EXPECT_EQ(derived(repeated(0x0b, 22), {}, {}, 42),
              "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Derive, gives_32_bytes_unless_told) {
    EXPECT_EQ(derive(as_bytes("secret"), {}, "purpose").size(), 32U);
    EXPECT_EQ(derive(as_bytes("secret"), {}, "purpose", 255 * 32).size(), 255U * 32U);
    EXPECT_THROW(derive(as_bytes("secret"), {}, "purpose", 255 * 32 + 1), Error);
}

// Vectors with p = 1, which is all that libsodium has; from OpenSSL 4.0. RFC 9106 has none with p = 1.
TEST(Argon2id, agrees_with_another_implementation) {
    const auto key = [](std::string_view password, ByteView salt, Argon2Cost cost) {
        return to_hex(argon2id(as_bytes(password), salt, cost).reveal());
    };
    EXPECT_EQ(key("password", as_bytes("somesaltsomesalt"), {.memory_kib = 64, .passes = 1}),
              "e793d64ef75d58f503d4631b2b149f7f80127c5f3993d89b1c9b781e51d0b413");
    EXPECT_EQ(key("", repeated(0, 16), {.memory_kib = 8, .passes = 2}),
              "2bf798a872dd5ac068d555d2ff67c372afac0d28630353c885f080a114329a2c");
    EXPECT_EQ(key("password", as_bytes("somesaltsomesalt"), {}),
              "7664ad4ba1a3c999fcdd0991ffc2270f78302d2383233db5e7befc85d1bb1819");
}

TEST(Argon2id, refuses_a_cost_or_salt_that_a_hostile_slot_may_name) {
    const Bytes salt = counting(16);
    EXPECT_EQ(code_of(salt, {.memory_kib = argon2_memory_kib_max + 1, .passes = 1}), Code::corrupt);
    EXPECT_EQ(code_of(salt, {.memory_kib = 0, .passes = 1}), Code::corrupt);
    EXPECT_EQ(code_of(salt, {.memory_kib = 64, .passes = 0}), Code::corrupt);
    EXPECT_EQ(code_of(salt, {.memory_kib = 64, .passes = argon2_passes_max + 1}), Code::corrupt);
    EXPECT_EQ(code_of(counting(15), {.memory_kib = 64, .passes = 1}), Code::corrupt);
}

}  // namespace

}  // namespace holdfast::crypto
