#include "base/error.h"
#include "base/secret.h"
#include "crypto/crypto.h"

// Nothing that was not sealed opens, and nothing crashes on the way.
void fuzz_open(holdfast::ByteView input) {
    using namespace holdfast;
    static const crypto::BoxKey box(Secret::of_size(crypto::key_bytes));
    static crypto::ChunkCipher cipher(Secret::of_size(crypto::key_bytes));
    Bytes plain;
    HF_ASSERT(!box.open("fuzz", input));
    HF_ASSERT(!crypto::open(box.scalar(), as_bytes("fuzz"), input));
    HF_ASSERT(!cipher.open(input, as_bytes("fuzz"), input, plain) && plain.empty());
    if (input.size() < sizeof(crypto::PublicKey) + sizeof(crypto::Signature)) return;

    crypto::PublicKey signer;
    crypto::Signature signature;
    std::memcpy(signer.data(), input.data(), signer.size());
    std::memcpy(signature.data(), input.data() + signer.size(), signature.size());
    HF_ASSERT(!crypto::verify(signer, input.subspan(signer.size() + signature.size()), signature));
}
