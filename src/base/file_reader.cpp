#include "base/file_reader.h"

#include <unistd.h>

#include <cstring>

namespace holdfast {

namespace {

constexpr std::size_t buffer_bytes = 256 * 1024;

}  // namespace

bool FileReader::take(MutableByteView into) {
    std::size_t done = 0;
    while (done < into.size()) {
        if (at_ == end_) {
            buffer_.resize(buffer_bytes);
            const ssize_t got = ::read(file_.get(), buffer_.data(), buffer_.size());
            if (got <= 0) return false;
            at_ = 0;
            end_ = static_cast<std::size_t>(got);
        }
        const std::size_t some = std::min(into.size() - done, end_ - at_);
        std::memcpy(into.data() + done, buffer_.data() + at_, some);
        at_ += some;
        done += some;
    }
    return true;
}

}  // namespace holdfast
