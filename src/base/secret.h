// base/secret.h: bytes that must not be printed and are wiped when they go.
#pragma once

#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace holdfast {

// Has no formatter, so printing one does not compile.
class Secret {
public:
    Secret() = default;
    explicit Secret(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
    Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Secret& operator=(Secret&& other) noexcept {
        wipe();
        bytes_ = std::exchange(other.bytes_, {});
        return *this;
    }
    Secret(const Secret&) = default;
    Secret& operator=(const Secret& other) {
        if (this != &other) {
            wipe();
            bytes_ = other.bytes_;
        }
        return *this;
    }
    ~Secret() { wipe(); }
    ByteView reveal() const { return bytes_; }
    MutableByteView writable() { return bytes_; }
    static Secret of_size(std::size_t size) {
        Secret out;
        out.bytes_.assign(size, 0);
        return out;
    }
    std::size_t size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }

private:
    void wipe() noexcept {
        if (!bytes_.empty()) explicit_bzero(bytes_.data(), bytes_.size());
    }
    Bytes bytes_;
};

}  // namespace holdfast
