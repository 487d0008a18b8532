#include "app/command.h"
#include "app/context.h"
#include "app/item_text.h"
#include "app/select.h"
#include "base/text.h"
#include "engine/look.h"

namespace holdfast::app {

namespace {

struct FindChoice {
    std::string pattern;
    std::string snapshot;
    Wanted wanted;
};

std::vector<const repo::Snapshot*> searched(Context& context, const repo::Repository& repository,
                                            const FindChoice& choice) {
    if (!choice.snapshot.empty() || choice.wanted.at) {
        Wanted wanted = choice.wanted;
        if (!choice.snapshot.empty()) wanted.text = choice.snapshot;
        const Selected selected = select_snapshot(repository.snapshots(), wanted, context.world.clock.now());
        for (const std::string& remark : selected.remarks) context.out.say(remark);
        return {selected.snapshot};
    }
    std::vector<const repo::Snapshot*> out;
    for (const repo::Snapshot& snapshot : repository.snapshots()) {
        if (!choice.wanted.source || is_source(snapshot, *choice.wanted.source)) out.push_back(&snapshot);
    }
    return out;
}

int run_find(Context& context, const FindChoice& choice) {
    const auto repository = context.open_repository();
    std::uint64_t items = 0;
    for (const repo::Snapshot* snapshot : searched(context, *repository, choice)) {
        engine::find(*repository, *snapshot, choice.pattern, [&](const Item& item) {
            context.world.stop.check();
            ++items;
            if (context.out.is_json()) {
                Json line{{"snapshot", snapshot->id.hex()}, {"source", snapshot->source}};
                line.update(json_of(item));
                context.out.record(line);
            } else {
                context.out.line(fmt::format("{}  {}", snapshot->id.short_hex(),
                                             context.out.quiet ? printable(item.path) : item_text(item)));
            }
        });
    }
    if (context.out.is_json()) {
        context.out.record({{"type", "summary"}, {"schema", "holdfast.find/1"}, {"items", items}});
    } else if (items == 0) {
        context.out.say("nothing matches " + choice.pattern);
    }
    return 0;
}

}  // namespace

Command find_command() {
    const auto choice = std::make_shared<FindChoice>();
    Command out;
    out.name = "find";
    out.part = Part::look;
    out.summary = "find items by name or path, in one snapshot or in all";
    out.details =
        "A PATTERN without `/` is compared with names, one with `/` with whole paths. `*` and `?` stop at "
        "`/`, `**` does not.";
    out.examples = {
        {"holdfast find '*.key'", "in all snapshots"},
        {"holdfast find '/srv/**/report-2026*.pdf' latest --source uploads", "in the newest one of a source"}};
    out.ends_with_its_reader = true;
    out.options.word(choice->pattern, "PATTERN", "glob of a name or a path").required = true;
    out.options.word(choice->snapshot, "SNAPSHOT", "only in this one: id, `latest` or a source's name").offers =
        Option::Offers::snapshots;
    add_selection(out.options, choice->wanted);
    out.run = [choice](Context& context) { return run_find(context, *choice); };
    return out;
}

}  // namespace holdfast::app
