#include "app/command.h"
#include "app/context.h"
#include "app/journals.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/windows.h"

namespace holdfast::app {

namespace {

struct SourceWindows {
    std::string source;
    std::vector<engine::Window> windows;
    std::vector<repo::Journal::Damage> damage;
};

Json json_of(const SourceWindows& source, const engine::Window& window, Nanoseconds now) {
    Json out{{"source", source.source},
             {"from", rfc3339(window.from.time)},
             {"to", rfc3339(window.to.time)},
             {"seconds", static_cast<double>(window.to.time - window.from.time) / one_second},
             {"base", window.base.hex()},
             {"bases", window.bases},
             {"records", window.records},
             {"bytes", {{"stored", window.stored}}},
             {"newest", window.newest},
             {"because", window.why}};
    out["pauses"] = Json::array();
    for (const Pause& pause : window.pauses)
        out["pauses"].push_back({{"from", rfc3339(pause.from)}, {"to", rfc3339(pause.to)}});
    if (window.newest) out["exposed_seconds"] = static_cast<double>(now - window.to.time) / one_second;
    return out;
}

void print_json(Output& out, const std::vector<SourceWindows>& sources, Nanoseconds now) {
    Json windows = Json::array(), gaps = Json::array(), errors = Json::array();
    for (const SourceWindows& source : sources) {
        const engine::Window* before = nullptr;
        for (const engine::Window& window : source.windows) {
            windows.push_back(json_of(source, window, now));
            if (before != nullptr)
                gaps.push_back({{"source", source.source},
                                {"from", rfc3339(before->to.time)},
                                {"to", rfc3339(window.from.time)},
                                {"because", window.why}});
            before = &window;
        }
        for (const repo::Journal::Damage& each : source.damage)
            errors.push_back({{"object", each.object}, {"message", each.why.message()}});
    }
    out.record({{"schema", "holdfast.windows/1"}, {"windows", windows}, {"gaps", gaps}, {"errors", errors}});
}

void print_table(Output& out, const std::vector<SourceWindows>& sources, Nanoseconds now) {
    using enum Table::Align;
    Table table({{"SOURCE", left},
                 {"FROM", left},
                 {"TO", left},
                 {"LENGTH", right},
                 {"BASES", right},
                 {"PAUSES", right},
                 {"SIZE", right},
                 {"EXPOSED", right},
                 {"BEGAN ANEW BECAUSE", left}});
    for (const SourceWindows& source : sources)
        for (const engine::Window& window : source.windows)
            table.add({printable(source.source), local_time(window.from.time), local_time(window.to.time),
                       human_duration(window.to.time - window.from.time), human_count(window.bases),
                       human_count(window.pauses.size()), human_bytes(window.stored),
                       window.newest ? human_duration(now - window.to.time) : "", printable(window.why)});
    if (table.empty()) return out.say("no source has a window yet; `holdfast follow SOURCE` begins one");
    table.print(out);
}

int run_windows(Context& context, const std::string& wanted) {
    const auto repository = context.open_repository();
    std::vector<std::string> names;
    if (wanted.empty())
        names = engine::sources_with_journals(*repository);
    else
        names.push_back(source_with_journal(*repository, wanted));
    std::vector<SourceWindows> sources;
    bool damaged = false;
    for (const std::string& name : names) {
        repo::Journal journal(*repository, name);
        journal.read();
        sources.push_back({name, engine::windows_of(journal, repository->snapshots()), journal.damage()});
        for (const repo::Journal::Damage& each : journal.damage()) {
            context.out.error(each.why);
            damaged = true;
        }
    }
    const Nanoseconds now = context.world.clock.now();
    if (context.out.is_json())
        print_json(context.out, sources, now);
    else
        print_table(context.out, sources, now);
    return damaged ? info_of(Code::corrupt).exit_status : 0;
}

}  // namespace

Command windows_command() {
    const auto source = std::make_shared<std::string>();
    Command out;
    out.name = "windows";
    out.part = Part::look;
    out.ends_with_its_reader = true;
    out.summary = "from which instants sources can be brought back";
    out.details =
        "A window is an unbroken range of instants: it begins with a base and goes on as far as the journal of "
        "`follow` does without a gap. Nothing is missing in a pause, but nobody knows when it was made: an instant in "
        "it comes back as it was when the pause began. EXPOSED is what would be lost if the source were lost now.";
    out.examples = {{"holdfast windows", "of every source that is followed"},
                    {"holdfast windows orders-db --json", "with positions and gaps"},
                    {"holdfast restore --source orders-db --at '2026-03-01 04:10:00' --to postgres://db2/", "uses it"}};
    out.options.word(*source, "SOURCE", "only this one").offers = Option::Offers::sources;
    out.run = [source](Context& context) { return run_windows(context, *source); };
    return out;
}

}  // namespace holdfast::app
