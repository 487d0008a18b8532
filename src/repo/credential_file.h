// repo/credential_file.h: a key file that names the repository it is of, so that another one in its place is told apart from a
// wrong key, and the slot that it opens, so that no other is read.
//
// Shape    text of four lines: "holdfast credential 1", "repository IDENTITY", "slot SIGNER", "key SECRET", all in hex
// Errors   config for one that is cut or changed
// Source   doc/format/keys.md section 4; review.md A1, A10
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/secret.h"
#include "repo/keys.h"

namespace holdfast::repo {

// What replicas have in common, too: family and root.
Bytes identity_of(const Config& config);

constexpr std::size_t credential_key_bytes = 32;
Secret credential_file(const Config& config, const SignerId& signer, const Secret& key);
// Nothing: it is a key file of another kind.
std::optional<Unlock> read_credential_file(ByteView file);

}  // namespace holdfast::repo
