#include "app/command.h"
#include "app/context.h"
#include "base/text.h"
#include "engine/look.h"

namespace holdfast::app {

namespace {

int run_stats(Context& context) {
    const auto repository = context.open_repository();
    const engine::Stats stats = engine::stats(*repository);
    Output& out = context.out;
    if (out.is_json()) {
        out.record(
            {{"schema", "holdfast.stats/1"},
             {"snapshots", stats.snapshots},
             {"packs", stats.packs},
             {"chunks", stats.chunks},
             {"bytes",
              {{"logical", stats.bytes_logical}, {"unique", stats.bytes_unique}, {"stored", stats.bytes_stored}}}});
        return 0;
    }
    const auto ratio = [&](std::uint64_t bytes) {
        const double times = bytes == 0 ? 0 : static_cast<double>(stats.bytes_logical) / static_cast<double>(bytes);
        return times < 1 ? std::string() : fmt::format(" (logical is {:.1f} times that)", times);
    };
    out.line(fmt::format("snapshots  {}", human_count(stats.snapshots)));
    out.line(fmt::format("packs      {}", human_count(stats.packs)));
    out.line(fmt::format("chunks     {}", human_count(stats.chunks)));
    out.line(
        fmt::format("logical    {}  in all snapshots, as their sources count them", human_bytes(stats.bytes_logical)));
    out.line(fmt::format("unique     {}  that snapshots reach, compressed and sealed{}",
                         human_bytes(stats.bytes_unique), ratio(stats.bytes_unique)));
    out.line(fmt::format("stored     {}  in the store{}", human_bytes(stats.bytes_stored), ratio(stats.bytes_stored)));
    return 0;
}

}  // namespace

Command stats_command() {
    Command out;
    out.name = "stats";
    out.part = Part::look;
    out.summary = "count what the repository holds";
    out.examples = {{"holdfast stats", "snapshots, packs, chunks and bytes"}};
    out.run = run_stats;
    return out;
}

}  // namespace holdfast::app
