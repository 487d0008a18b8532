#include "sources/files/file_clock.h"

namespace holdfast::files {

timespec now_of_file_times() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now;
}

bool is_before(const statx_timestamp& a, const timespec& b) {
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < static_cast<std::uint32_t>(b.tv_nsec);
}

void wait_until_past(const statx_timestamp& stamp, timespec (*now_of_clock)()) {
    constexpr int waits_max = 40;
    for (int i = 0; i < waits_max; ++i) {
        const timespec now = now_of_clock();
        if (is_before(stamp, now) || stamp.tv_sec > now.tv_sec + 1) return;
        const timespec millisecond{0, 1'000'000};
        nanosleep(&millisecond, nullptr);
    }
}

bool is_fresh(const Stat& stat, const timespec& since) {
    if (!is_before(stat.stx_ctime, since)) return true;
    constexpr std::int64_t coarsest_tick_s = 2;  // FAT
    return stat.stx_ctime.tv_nsec == 0 && stat.stx_mtime.tv_nsec == 0 &&
           stat.stx_ctime.tv_sec + coarsest_tick_s >= since.tv_sec;
}

}  // namespace holdfast::files
