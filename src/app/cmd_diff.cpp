#include "app/command.h"
#include "app/context.h"
#include "app/diff_live.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/look.h"

namespace holdfast::app {

namespace {

struct DiffChoice {
    std::string from;
    std::string to;
    std::string path;
    std::optional<std::string> source;
    LiveChoice live;
};

struct Counts {
    std::uint64_t added = 0;
    std::uint64_t removed = 0;
    std::uint64_t content = 0;
    std::uint64_t metadata = 0;
    bool operator==(const Counts&) const = default;

    void count(engine::Change change) {
        switch (change) {
            case engine::Change::added:
                ++added;
                break;
            case engine::Change::removed:
                ++removed;
                break;
            case engine::Change::content:
                ++content;
                break;
            case engine::Change::metadata:
                ++metadata;
                break;
        }
    }
};

int run_diff(Context& context, const DiffChoice& choice) {
    const auto repository = context.open_repository();
    const auto find = [&](const std::string& text) {
        Wanted wanted;
        wanted.text = text;
        wanted.source = choice.source;
        return select_snapshot(repository->snapshots(), wanted, context.world.clock.now());
    };
    const Selected from = find(choice.from);
    const bool is_live = choice.to == live_word;
    if (!is_live && (choice.live.place || choice.live.rows))
        throw Error{Code::usage, "--to and --rows go with `diff SNAPSHOT live`"};
    const Selected to = is_live ? Selected{} : find(choice.to);
    std::string below = choice.path;
    for (const std::string& path : {from.path, to.path}) {
        if (path.empty() || path == below) continue;
        if (!below.empty()) throw Error{Code::usage, "`diff` compares one folder, not both {} and {}", below, path};
        below = path;
    }
    if (is_live) return diff_live(context, *repository, from, below, choice.live);
    Counts counts;
    engine::diff(*repository, *from.snapshot, *to.snapshot, below, [&](const engine::Difference& difference) {
        context.world.stop.check();
        counts.count(difference.change);
        if (context.out.is_json()) {
            Json line{{"type", "difference"}};
            add_path(line, difference.path);
            line["change"] = name_of(difference.change);
            context.out.record(line);
        } else {
            context.out.line(fmt::format("{} {}", sign_of(difference.change), printable(difference.path)));
        }
    });
    // That nothing differs below a path that neither has says nothing.
    if (!below.empty() && counts == Counts{})
        engine::list(*repository, *from.snapshot, below, false, [](const Item&) { return false; });
    if (context.out.is_json()) {
        context.out.record({{"type", "summary"},
                            {"schema", "holdfast.diff/1"},
                            {"from", from.snapshot->id.hex()},
                            {"to", to.snapshot->id.hex()},
                            {"added", counts.added},
                            {"removed", counts.removed},
                            {"content", counts.content},
                            {"metadata", counts.metadata}});
    } else {
        context.out.say(fmt::format("{} added, {} removed, {} with other content, {} with other metadata",
                                    human_count(counts.added), human_count(counts.removed), human_count(counts.content),
                                    human_count(counts.metadata)));
    }
    return 0;
}

}  // namespace

Command diff_command() {
    const auto choice = std::make_shared<DiffChoice>();
    Command out;
    out.name = "diff";
    out.part = Part::look;
    out.summary = "say what differs between two snapshots, or from what is live";
    out.details =
        "Each line is a sign and a path: `+` only in B, `-` only in A, `M` other content, `m` other "
        "metadata. Differences are "
        "no error: the exit status is 0.\n"
        "With `live` as B, A is compared with its source as it is now: files with the file system, databases with the "
        "server that is configured or was captured, or with --to. A table's `M` means other rows, a database's `m` "
        "other "
        "definitions, owners or grants; --rows lists the primary keys of rows that differ.";
    out.examples = {
        {"holdfast diff 7c19 latest --source files:/etc", "what changed since snapshot 7c19…"},
        {"holdfast diff 7c19 41ab /etc/ssh", "only below one folder"},
        {"holdfast diff good live --source orders-db --rows", "what became of the database since, row by row"}};
    out.ends_with_its_reader = true;
    for (auto [target, name, help] : {std::tuple(&choice->from, "A", "id, `latest` or a source's name"),
                                      std::tuple(&choice->to, "B", "what A is compared with, or `live`")}) {
        Option& option = out.options.word(*target, name, help);
        option.required = true;
        option.offers = Option::Offers::snapshots;
    }
    out.options.word(choice->path, "PATH", "only this folder and what is in it");
    out.options.value(choice->source, "--source", "NAME", "what `latest` is the newest of").offers =
        Option::Offers::sources;
    out.options
        .value(choice->live.place, "--to", "URL", "with `live`: a server or environment, instead of the source's")
        .offers = Option::Offers::targets;
    out.options.flag(choice->live.rows, "--rows", "with `live`: the keys of rows that differ");
    out.options.number(choice->live.rows_max, "--rows-max", "N", "list so many rows of a table (default 1000)");
    out.run = [choice](Context& context) { return run_diff(context, *choice); };
    return out;
}

}  // namespace holdfast::app
