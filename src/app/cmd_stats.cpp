#include "app/command.h"
#include "app/context.h"
#include "app/traffic.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/look.h"

namespace holdfast::app {

namespace {

// What the last run of each command asked of the repository's store.
int show_requests(Context& context) {
    const std::string url = context.open_repository(repo::NotesFrom::checkpoint)->store().url();
    const Json kept = kept_traffic(state_folder(), url, context.world);
    if (context.out.is_json()) {
        context.out.record({{"schema", "holdfast.requests/1"}, {"store", url}, {"commands", kept}});
        return 0;
    }
    using Align = Table::Align;
    Table table({{"COMMAND"},
                 {"TIME"},
                 {"REQUESTS", Align::right},
                 {"PUT", Align::right},
                 {"GET", Align::right},
                 {"HEAD", Align::right},
                 {"LIST", Align::right},
                 {"DELETE", Align::right},
                 {"SENT", Align::right},
                 {"RECEIVED", Align::right}});
    for (const auto& [command, each] : kept.items()) {
        std::vector<std::string> row{command, each.value("time", "")};
        for (const char* verb : {"requests", "put", "get", "head", "list", "delete"})
            row.push_back(human_count(each.value(verb, std::uint64_t{0})));
        const Json bytes = each.value("bytes", Json::object());
        for (const char* way : {"sent", "received"}) row.push_back(human_bytes(bytes.value(way, std::uint64_t{0})));
        table.add(std::move(row));
    }
    if (table.empty()) {
        context.out.line("no command of this machine has used this store yet");
        return 0;
    }
    table.print(context.out);
    return 0;
}

int run_stats(Context& context, bool requests) {
    if (requests) return show_requests(context);
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
    out.examples = {
        {"holdfast stats", "snapshots, packs, chunks and bytes"},
        {"holdfast stats --requests", "what backup, restore and others asked of the store when they last ran"}};
    const auto requests = std::make_shared<bool>(false);
    out.options.flag(*requests, "--requests", "requests and bytes of the last run of each command on this machine");
    out.run = [requests](Context& context) { return run_stats(context, *requests); };
    return out;
}

}  // namespace holdfast::app
