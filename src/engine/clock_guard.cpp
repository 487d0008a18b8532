#include "engine/clock_guard.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "policy/clock_jump.h"

namespace holdfast::engine {

namespace {

policy::ClockMark mark_now(const Clock& clock) {
    const auto boot = read_file_if_present("/proc/sys/kernel/random/boot_id");
    std::string id = boot ? std::string(as_text(*boot)) : "";
    while (id.ends_with('\n')) id.pop_back();
    return {id, clock.steady(), clock.now()};
}

Error jumped(std::string_view what) {
    return Error{Code::retention, "retention cannot be trusted to this machine's clock: {}", what}
        .unharmed("nothing was forgotten")
        .hint("Correct the clock. If it is right now, --clock-is-right of `forget` or `prune` goes on.");
}

}  // namespace

void check_clock(const repo::Repository& repository, bool trust) {
    const policy::ClockMark now = mark_now(repository.world().clock);
    const std::string path = repository.client_folder().empty() ? "" : repository.client_folder() + "/clock";
    if (!trust) {
        if (!repository.snapshots().empty()) {
            const repo::Snapshot& newest = repository.snapshots().back();
            if (newest.received > now.wall + policy::clock_jump_max)
                throw jumped(fmt::format("snapshot {} was received {} later than it is now", newest.id.short_hex(),
                                         human_duration(newest.received - now.wall)));
        }
        const auto text = path.empty() ? std::nullopt : read_file_if_present(path);
        const auto before = text ? policy::parse_clock_mark(as_text(*text)) : std::nullopt;
        const Nanoseconds jump = before ? policy::jump_between(*before, now) : 0;
        if (jump != 0)
            throw jumped(fmt::format("it was put {} by {} since {}", jump > 0 ? "forward" : "back",
                                     human_duration(jump > 0 ? jump : -jump), rfc3339_seconds(before->wall)));
    }
    if (!path.empty()) write_file_durably(path, as_bytes(policy::text_of(now)));
}

}  // namespace holdfast::engine
