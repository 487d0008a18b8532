#include "app/command.h"
#include "app/context.h"
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
};

char sign_of(engine::Change change) {
    switch (change) {
        case engine::Change::added:
            return '+';
        case engine::Change::removed:
            return '-';
        case engine::Change::content:
            return 'M';
        case engine::Change::metadata:
            return 'm';
    }
    return '?';
}

struct Counts {
    std::uint64_t added = 0;
    std::uint64_t removed = 0;
    std::uint64_t content = 0;
    std::uint64_t metadata = 0;

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
    const Selected to = find(choice.to);
    std::string below = choice.path;
    for (const std::string& path : {from.path, to.path}) {
        if (path.empty() || path == below) continue;
        if (!below.empty()) throw Error{Code::usage, "`diff` compares one folder, not both {} and {}", below, path};
        below = path;
    }
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
    out.summary = "say what differs between two snapshots";
    out.details =
        "Each line is a sign and a path: `+` only in B, `-` only in A, `M` other content, `m` other "
        "metadata. Differences are "
        "no error: the exit status is 0.";
    out.examples = {{"holdfast diff 7c19 latest --source files:/etc", "what changed since snapshot 7c19…"},
                    {"holdfast diff 7c19 41ab /etc/ssh", "only below one folder"}};
    out.ends_with_its_reader = true;
    for (auto [target, name, help] : {std::tuple(&choice->from, "A", "id, `latest` or a source's name"),
                                      std::tuple(&choice->to, "B", "what A is compared with")}) {
        Option& option = out.options.word(*target, name, help);
        option.required = true;
        option.offers = Option::Offers::snapshots;
    }
    out.options.word(choice->path, "PATH", "only this folder and what is in it");
    out.options.value(choice->source, "--source", "NAME", "what `latest` is the newest of").offers =
        Option::Offers::sources;
    out.run = [choice](Context& context) { return run_diff(context, *choice); };
    return out;
}

}  // namespace holdfast::app
