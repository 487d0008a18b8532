// engine/progress.h: what long work tells whoever shows it.
//
// Threads  the counters are written by many threads and read by one
#pragma once

#include <atomic>
#include <cstdint>

namespace holdfast::engine {

struct Progress {
    std::atomic<std::uint64_t> items{0};
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> items_total{0};  // 0: not known yet
    std::atomic<std::uint64_t> bytes_total{0};
};

}  // namespace holdfast::engine
