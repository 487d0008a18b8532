// crypto/library.h: how the two libraries are started and their failures told; of use inside this layer only.
#pragma once

#include <string_view>

#include "base/secret.h"

namespace holdfast::crypto {

// Before any call of libsodium: it is what makes it take the fastest code for this CPU.
void start_sodium();
// Throws internal, with OpenSSL's reason, when `ok` is not 1.
void must(int ok, std::string_view what);
// Throws internal when `key` has not key_bytes bytes.
void check_size(const Secret& key, std::string_view what);

}  // namespace holdfast::crypto
