#include "sources/redis/key_choice.h"

#include <fmt/format.h>

#include "sources/redis/names.h"

namespace holdfast::redis {

bool KeyChoice::wants_key(std::uint64_t database, std::string_view name) const {
    return !wants_ || wants_(key_path(database, name));
}

bool KeyChoice::take_expiry(std::int64_t& expiry_ms) {
    if (expiry_ms == no_expiry) return true;
    if (expired_ == Expired::shift && captured_ms_ != 0) expiry_ms += std::max<std::int64_t>(0, now_ms_ - captured_ms_);
    if (expiry_ms > now_ms_ || keeps_all_expiries_) return true;
    ++expired_keys_;
    // Shifted, it had come already when it was captured: nobody could see the key then.
    if (expired_ != Expired::keep) return false;
    expiry_ms = no_expiry;
    return true;
}

std::string KeyChoice::expired_text() const {
    if (expired_keys_ == 0) return "";
    const std::string keys = expired_keys_ == 1 ? "a key" : fmt::format("{} keys", expired_keys_);
    if (expired_ == Expired::shift) return keys + " whose time had come at the capture already stayed away";
    return fmt::format("{} whose time has come since the capture {}", keys,
                       expired_ == Expired::drop ? "stayed away" : "came back without an expiry");
}

}  // namespace holdfast::redis
