#include "crypto/hmac.h"

#include <array>
#include <cstring>

namespace holdfast::crypto {

namespace {

constexpr std::size_t block_bytes = 64;
using Block = std::array<std::uint8_t, block_bytes>;

SHA256_CTX state_after(Block block, std::uint8_t pad) {
    for (std::uint8_t& byte : block) byte ^= pad;
    SHA256_CTX state;
    SHA256_Init(&state);
    SHA256_Update(&state, block.data(), block.size());
    explicit_bzero(block.data(), block.size());
    return state;
}

}  // namespace

HmacKey::HmacKey(ByteView key) {
    Block block{};
    if (key.size() > block.size()) {
        const Digest hashed = sha256(key);
        std::memcpy(block.data(), hashed.data(), hashed.size());
    } else if (!key.empty()) {
        std::memcpy(block.data(), key.data(), key.size());
    }
    inner_ = state_after(block, 0x36);
    outer_ = state_after(block, 0x5c);
    explicit_bzero(block.data(), block.size());
}

HmacKey::~HmacKey() {
    explicit_bzero(&inner_, sizeof inner_);
    explicit_bzero(&outer_, sizeof outer_);
}

Digest HmacKey::operator()(std::initializer_list<ByteView> parts) const {
    Digest out;
    SHA256_CTX state = inner_;
    for (const ByteView part : parts) SHA256_Update(&state, part.data(), part.size());
    SHA256_Final(out.data(), &state);
    state = outer_;
    SHA256_Update(&state, out.data(), out.size());
    SHA256_Final(out.data(), &state);
    return out;
}

struct Sha256::Impl {
    SHA256_CTX state;
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) { SHA256_Init(&impl_->state); }
Sha256::~Sha256() = default;
void Sha256::update(ByteView bytes) { SHA256_Update(&impl_->state, bytes.data(), bytes.size()); }

Digest Sha256::finish() {
    Digest out;
    SHA256_Final(out.data(), &impl_->state);
    return out;
}

Digest sha256(ByteView bytes) {
    Digest out;
    SHA256_CTX state;
    SHA256_Init(&state);
    SHA256_Update(&state, bytes.data(), bytes.size());
    SHA256_Final(out.data(), &state);
    return out;
}

}  // namespace holdfast::crypto
