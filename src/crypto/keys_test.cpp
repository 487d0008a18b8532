#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/test_help.h"

namespace holdfast::crypto {

namespace {

constexpr std::string_view alice_scalar = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
constexpr std::string_view alice_public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
constexpr std::string_view bob_scalar = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
constexpr std::string_view bob_public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
constexpr std::string_view shared_by_both = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

TEST(SigningKey, gives_the_vectors_of_RFC_8032) {
    const SigningKey first(secret("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    EXPECT_EQ(to_hex(first.public_key()), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    EXPECT_EQ(to_hex(first.sign({})),
              "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b4"
              "6bd25bf5f059"
              "5bbe24655141438e7a100b");
    const SigningKey second(secret("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
    EXPECT_EQ(to_hex(second.public_key()), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    EXPECT_EQ(to_hex(second.sign(hex("72"))),
              "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d"
              "8c387b2eaeb4"
              "302aeeb00d291612bb0c00");
}

TEST(SigningKey, signs_what_verifies_and_nothing_else) {
    SameRandom random(5);
    const SigningKey key = SigningKey::generate(random);
    const Bytes message = noise(1, 20);
    const Signature signature = key.sign(message);
    EXPECT_TRUE(verify(key.public_key(), message, signature));
    EXPECT_TRUE(verify(SigningKey(key.seed()).public_key(), message, signature));

    const auto with_signature = [&](const Bytes& bytes) {
        Signature other;
        std::copy(bytes.begin(), bytes.end(), other.begin());
        return verify(key.public_key(), message, other);
    };
    const auto with_signer = [&](const Bytes& bytes) {
        PublicKey other;
        std::copy(bytes.begin(), bytes.end(), other.begin());
        return verify(other, message, signature);
    };
    expect_every_flipped_bit_refused(message,
                                     [&](const Bytes& other) { return verify(key.public_key(), other, signature); });
    expect_every_flipped_bit_refused(to_bytes(signature), with_signature);
    expect_every_flipped_bit_refused(to_bytes(key.public_key()), with_signer);
    EXPECT_FALSE(verify(PublicKey{}, message, signature));
    EXPECT_FALSE(verify(key.public_key(), message, Signature{}));
}

TEST(BoxKey, gives_the_vectors_of_RFC_7748) {
    EXPECT_EQ(to_hex(BoxKey(secret(alice_scalar)).public_key()), alice_public);
    EXPECT_EQ(to_hex(BoxKey(secret(bob_scalar)).public_key()), bob_public);
}

// Alice's key as the ephemeral one, the box put together by hand from the shared secret of the RFC.
TEST(BoxKey, opens_a_box_made_by_the_book) {
    Bytes box = hex(alice_public);
    const Bytes both = hex(std::string(alice_public) + std::string(bob_public));
    const Bytes sealed = seal(derive(hex(shared_by_both), both, "section key"), {}, counting(32));
    box.insert(box.end(), sealed.begin(), sealed.end());
    // From the Python package cryptography.
    EXPECT_EQ(to_hex(box),
              "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a9a4b5c5a006aafbeb918ed82198d66"
              "9fc3d67ed593"
              "35da2578e83124ab79d7134bfc7b6be8650fc463fa8d6a8bd03085");
    const auto payload = BoxKey(secret(bob_scalar)).open("section key", box);
    ASSERT_TRUE(payload);
    EXPECT_EQ(to_hex(payload->reveal()), to_hex(counting(32)));
}

TEST(BoxKey, seals_as_documented) {
    SameRandom random(7);
    const Bytes box = seal_to(BoxKey(secret(bob_scalar)).public_key(), "section key", counting(32), random);
    EXPECT_EQ(to_hex(box),
              "f988c6930954be397a0e01e9fd33889af6f44d6f88b206157f7633d64c2db54cd75e3c1a7bca23c730d78d200d"
              "87541f7637f84697344cd0fe9be489209625b118ac2b3cb8d3f90c838d48edb2b45930");
}

TEST(BoxKey, opens_what_was_sealed_to_it_and_nothing_else) {
    Random& random = system_random();
    const BoxKey mine = BoxKey::generate(random);
    const BoxKey other = BoxKey::generate(random);
    for (const std::size_t size : {0U, 1U, 32U, 1000U}) {
        const Bytes box = seal_to(mine.public_key(), "info", noise(1, size), random);
        EXPECT_EQ(box.size(), size + 48);
        const auto payload = mine.open("info", box);
        ASSERT_TRUE(payload);
        EXPECT_TRUE(equal(payload->reveal(), noise(1, size)));
        EXPECT_FALSE(mine.open("inf", box));
        EXPECT_FALSE(other.open("info", box));
    }
}

TEST(BoxKey, does_not_open_when_any_bit_differs) {
    const BoxKey key(secret(bob_scalar));
    SameRandom random(1);
    const Bytes box = seal_to(key.public_key(), "info", counting(4), random);
    const auto opens = [&](const Bytes& bytes) { return key.open("info", bytes).has_value(); };
    EXPECT_TRUE(opens(box));
    expect_every_flipped_bit_refused(box, opens);
    expect_every_truncation_refused(box, opens);
}

TEST(BoxKey, uses_no_key_twice_even_when_chance_repeats) {
    SameRandom random(1);
    const BoxKey key(secret(bob_scalar));
    const Bytes first = seal_to(key.public_key(), "info", noise(1, 32), random);
    const Bytes second = seal_to(key.public_key(), "info", noise(2, 32), random);
    EXPECT_FALSE(equal(ByteView(first).first(32), ByteView(second).first(32)));
}

TEST(BoxKey, refuses_points_that_give_everyone_the_same_secret) {
    SameRandom random(1);
    EXPECT_THROW(seal_to(PublicKey{}, "info", counting(32), random), Error);
    EXPECT_FALSE(BoxKey(secret(bob_scalar)).open("info", repeated(0, 80)));
}

}  // namespace

}  // namespace holdfast::crypto
