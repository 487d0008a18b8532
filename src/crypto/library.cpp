#include "crypto/library.h"

#include <openssl/err.h>
#include <sodium.h>

#include "base/error.h"
#include "crypto/crypto.h"

namespace holdfast::crypto {

void start_sodium() {
    static const int started = sodium_init();
    if (started < 0) throw Error{Code::internal, "libsodium does not start"};
}

void must(int ok, std::string_view what) {
    if (ok == 1) return;
    const char* const reason = ERR_reason_error_string(ERR_get_error());
    throw Error{Code::internal, "OpenSSL cannot {}: {}", what, reason == nullptr ? "no reason given" : reason};
}

void check_size(const Secret& key, std::string_view what) {
    if (key.size() == key_bytes) return;
    throw Error{Code::internal, "{} has {} bytes, not {}", what, key.size(), key_bytes};
}

}  // namespace holdfast::crypto
