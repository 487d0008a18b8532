// repo/signed.h: the one envelope of everything that is signed.
//
// Shape    "HFSG" suite kind repository author payload signature; doc/format/signed.md
// Errors   corrupt when the envelope is damaged, of another kind or repository, or the signature does not verify
#pragma once

#include <functional>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "repo/ids.h"

namespace holdfast::repo {

enum class SignedKind : std::uint8_t {
    config = 1,
    credential = 2,
    log_entry = 3,
    snapshot = 4,
    condemned = 5,
    verdict = 6,
    note = 7,
    checkpoint = 8,
    segment = 9,
    segment_pack = 10,
    attestation = 11,
    replica_mark = 12,
};

SignerId signer_id_of(const crypto::PublicKey& key);

struct SignedView {  // looks into the bytes it was made from
    SignerId author;
    RepositoryId repository;
    ByteView payload;
    ByteView covered;  // what the signature is over, less the prefix
    crypto::Signature signature;
};

Bytes sign(SignedKind kind, const RepositoryId& repository, const crypto::SigningKey& author, ByteView payload);
// Parses without verifying. `what` names the object in messages.
SignedView parse_signed(ByteView bytes, SignedKind kind, std::string_view what);
void verify_signed(const SignedView& view, const crypto::PublicKey& author, const RepositoryId& repository,
                   std::string_view what);

}  // namespace holdfast::repo
