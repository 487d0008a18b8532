#include <algorithm>

#include "app/command.h"
#include "app/context.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "repo/keys.h"
#include "repo/notes.h"

namespace holdfast::app {

namespace {

struct HoldChoice {
    std::vector<std::string> ids;
    std::string name;  // of the hold
};

std::vector<repo::Snapshot> chosen(const repo::Repository& repository, const HoldChoice& choice) {
    std::vector<repo::Snapshot> out;
    for (const std::string& id : choice.ids) out.push_back(snapshot_by_id(repository.snapshots(), id));
    return out;
}

void print(Output& out, const repo::Snapshot& snapshot, const std::string& done, const std::string& name) {
    if (out.is_json())
        out.record({{"type", done}, {"snapshot", snapshot.id.hex()}, {"source", snapshot.source}, {"hold", name}});
    else if (!out.quiet)
        out.line(
            fmt::format("{} {} of {}: {}", done, snapshot.id.short_hex(), printable(snapshot.source), printable(name)));
}

void print_summary(Output& out, std::string_view schema, std::size_t count) {
    if (out.is_json()) out.record({{"type", "summary"}, {"schema", schema}, {"count", count}});
}

int run_hold(Context& context, const HoldChoice& choice) {
    const auto repository = context.open_repository(repo::NotesFrom::names);
    const repo::Keyring& keys = repository->keys();
    keys.require(keys.may(keys.own_id(), repo::Right::read) ? repo::Right::read : repo::Right::collect,
                 "hold snapshots");
    const std::string name = choice.name.empty() ? "by hand" : choice.name;
    std::size_t count = 0;
    for (const repo::Snapshot& snapshot : chosen(*repository, choice)) {
        if (std::ranges::find(snapshot.holds, name) != snapshot.holds.end()) continue;
        repository->notes().append(snapshot.id, repo::NoteKind::hold, context.world.clock.now(), name);
        print(context.out, snapshot, "held", name);
        ++count;
    }
    print_summary(context.out, "holdfast.hold/1", count);
    return 0;
}

int run_release(Context& context, const HoldChoice& choice) {
    const auto repository = context.open_repository(repo::NotesFrom::names);
    repository->keys().require(repo::Right::collect, "release snapshots");
    const std::vector<repo::Snapshot> snapshots = chosen(*repository, choice);
    const auto ended = [&](const repo::Snapshot& snapshot) {
        std::vector<std::string> out = snapshot.holds;
        if (!choice.name.empty()) std::erase_if(out, [&](const std::string& each) { return each != choice.name; });
        std::ranges::sort(out);
        out.erase(std::ranges::unique(out).begin(), out.end());
        return out;
    };
    for (const repo::Snapshot& snapshot : snapshots)
        if (ended(snapshot).empty())
            throw Error{Code::not_found, "snapshot {} has no hold{}", snapshot.id.short_hex(),
                        choice.name.empty() ? "" : " `" + choice.name + "`"}
                .unharmed("no hold was ended")
                .hint(snapshot.holds.empty() ? "`holdfast snapshots --json` lists holds."
                                             : "It has: " + join(snapshot.holds, ", ") + ".");
    std::size_t count = 0;
    for (const repo::Snapshot& snapshot : snapshots)
        for (const std::string& name : ended(snapshot)) {
            repository->notes().append(snapshot.id, repo::NoteKind::release, context.world.clock.now(), name);
            print(context.out, snapshot, "released", name);
            ++count;
        }
    print_summary(context.out, "holdfast.release/1", count);
    return 0;
}

Command command_of(const std::string& name, const std::shared_ptr<HoldChoice>& choice) {
    Command out;
    out.name = name;
    out.is_recorded = true;
    out.part = Part::keep;
    Option& ids = out.options.words(choice->ids, "ID", "these snapshots");
    ids.required = true;
    ids.offers = Option::Offers::snapshots;
    return out;
}

}  // namespace

Command hold_command() {
    const auto choice = std::make_shared<HoldChoice>();
    Command out = command_of("hold", choice);
    out.summary = "keep snapshots whatever the rules say";
    out.details =
        "A snapshot that is held is not forgotten, by rules or by id, until each of its holds was ended by `release`. "
        "Holds have names, so that who investigates and who audits do not end each other's. They are signed into the "
        "repository, and go along with copies.";
    out.examples = {{"holdfast hold 7c19 --name incident-42", "until it is investigated"},
                    {"holdfast snapshots", "says `held` of those that are"}};
    out.options.value(choice->name, "--name", "NAME", "what the hold is for (default `by hand`)");
    out.run = [choice](Context& context) { return run_hold(context, *choice); };
    return out;
}

Command release_command() {
    const auto choice = std::make_shared<HoldChoice>();
    Command out = command_of("release", choice);
    out.summary = "end holds: rules may forget the snapshots again";
    out.details = "Nothing is removed by it; `forget` does that, when its rules say so.";
    out.examples = {{"holdfast release 7c19 --name incident-42", "this hold"},
                    {"holdfast release 7c19", "all of its holds"}};
    out.options.value(choice->name, "--name", "NAME", "only the hold of this name");
    out.run = [choice](Context& context) { return run_release(context, *choice); };
    return out;
}

}  // namespace holdfast::app
