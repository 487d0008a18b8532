// sources/redis/key_choice.h: which keys of a snapshot come back, and with which expiry.
//
// Threads  one at a time
#pragma once

#include <functional>

#include "sources/redis/options.h"
#include "sources/redis/rdb.h"

namespace holdfast::redis {

class KeyChoice {
public:
    // What was captured is of `captured_ms`; 0: not known. Times are milliseconds since 1970.
    KeyChoice(std::function<bool(const std::string& path)> wants, Expired expired, std::int64_t now_ms,
              std::int64_t captured_ms)
        : wants_(std::move(wants)), expired_(expired), now_ms_(now_ms), captured_ms_(captured_ms) {}

    // A data folder can hold keys whose time has come; the server drops them when they are touched.
    void keep_all_expiries() { keeps_all_expiries_ = true; }

    bool is_part() const { return static_cast<bool>(wants_); }
    bool wants(const std::string& path) const { return !wants_ || wants_(path); }
    bool wants_key(std::uint64_t database, std::string_view name) const;
    // False: its time has come, and it stays away. Else the expiry that it comes back with.
    bool take_expiry(std::int64_t& expiry_ms);
    // "3 keys whose time has come since the capture stayed away"; empty: there were none.
    std::string expired_text() const;

private:
    std::function<bool(const std::string& path)> wants_;
    Expired expired_;
    bool keeps_all_expiries_ = false;
    std::int64_t now_ms_;
    std::int64_t captured_ms_;
    std::uint64_t expired_keys_ = 0;
};

}  // namespace holdfast::redis
