#include "crypto/lanes.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "crypto/multi_buffer.h"

namespace holdfast::crypto {

LaneMac::LaneMac(ByteView key) : one_(key) {
#ifdef HF_HAS_IPSEC_MB
    if (multi_buffer() == nullptr) return;
    const auto state_after = [&](std::uint8_t pad, std::array<std::uint8_t, 32>& out) {
        std::array<std::uint8_t, 64> block;
        block.fill(pad);
        for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
        IMB_SHA256_ONE_BLOCK(multi_buffer(), block.data(), out.data());
        explicit_bzero(block.data(), block.size());
    };
    state_after(0x36, inner_);
    state_after(0x5c, outer_);
#endif
}

LaneMac::~LaneMac() {
    explicit_bzero(inner_.data(), inner_.size());
    explicit_bzero(outer_.data(), outer_.size());
}

void LaneMac::operator()(ByteView bytes, Bytes& out) const {
#ifdef HF_HAS_IPSEC_MB
    if (multi_buffer() != nullptr) return in_lanes(bytes, out);
#endif
    for (std::size_t at = 0; at < bytes.size(); at += segment_max)
        append(out, one_({bytes.subspan(at, std::min(segment_max, bytes.size() - at))}));
}

#ifdef HF_HAS_IPSEC_MB

void LaneMac::in_lanes(ByteView bytes, Bytes& out) const {
    constexpr std::size_t jobs_max = 64;
    std::array<IMB_JOB, jobs_max> jobs;
    IMB_MGR* const lanes = multi_buffer();
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t count = std::min(jobs_max, (bytes.size() - at + segment_max - 1) / segment_max);
        const std::size_t digests = out.size();
        out.resize(digests + count * sizeof(Digest));
        for (std::size_t i = 0; i < count; ++i) {
            IMB_JOB& job = jobs[i];
            job = {};
            job.src = bytes.data() + at;
            job.msg_len_to_hash_in_bytes = std::min(segment_max, bytes.size() - at);
            job.auth_tag_output = out.data() + digests + i * sizeof(Digest);
            job.auth_tag_output_len_in_bytes = sizeof(Digest);
            job.hash_alg = IMB_AUTH_HMAC_SHA_256;
            job.u.HMAC._hashed_auth_key_xor_ipad = inner_.data();
            job.u.HMAC._hashed_auth_key_xor_opad = outer_.data();
            at += segment_max;
        }
        const std::uint32_t done =
            IMB_SUBMIT_HASH_BURST(lanes, jobs.data(), static_cast<std::uint32_t>(count), IMB_AUTH_HMAC_SHA_256);
        const bool good =
            done == count && std::all_of(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(count),
                                         [](const IMB_JOB& job) { return job.status == IMB_STATUS_COMPLETED; });
        if (!good) throw Error{Code::internal, "hashing in lanes stopped: {}", imb_get_strerror(imb_get_errno(lanes))};
    }
}

#endif

}  // namespace holdfast::crypto
