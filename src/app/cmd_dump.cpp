#include <algorithm>

#include "app/command.h"
#include "app/context.h"
#include "app/select.h"
#include "base/error.h"
#include "engine/look.h"
#include "repo/keys.h"

namespace holdfast::app {

namespace {

struct DumpChoice {
    Wanted wanted;
    bool force = false;
};

bool is_binary(ByteView bytes) {
    return std::ranges::any_of(bytes, [](std::uint8_t byte) {
        return byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r');
    });
}

int run_dump(Context& context, const DumpChoice& choice) {
    const auto repository = context.open_repository();
    repository->keys().require(repo::Right::read, "read what was backed up");
    const Selected selected = select_snapshot(repository->snapshots(), choice.wanted, context.world.clock.now());
    for (const std::string& remark : selected.remarks) context.out.say(remark);
    const bool guarded = context.out.stdout_is_terminal() && !choice.force;
    engine::dump(*repository, *selected.snapshot, selected.path, [&](ByteView bytes) {
        context.world.stop.check();
        if (guarded && is_binary(bytes))
            throw Error{Code::usage, "this is binary, and standard output is a terminal"}.hint(
                "Send it to a file with `> FILE`, or add --force.");
        context.out.bytes(bytes);
    });
    return 0;
}

}  // namespace

Command dump_command() {
    const auto choice = std::make_shared<DumpChoice>();
    Command out;
    out.name = "dump";
    out.part = Part::bring_back;
    out.summary = "write one item's bytes to standard output";
    out.details =
        "Without a path the snapshot must hold exactly one item with content, as those of `command:` sources "
        "do.";
    out.examples = {
        {"holdfast dump latest --source command:orders.sql | psql orders", "gives back what a command printed"},
        {"holdfast dump 7c19:/etc/hosts", "one file of a snapshot"}};
    out.ends_with_its_reader = true;
    out.options.word(choice->wanted.text, "SNAPSHOT", "id, `latest` or a source's name; `:PATH` may follow").offers =
        Option::Offers::snapshots;
    out.options.flag(choice->force, "--force", "also print binary on a terminal");
    add_selection(out.options, choice->wanted);
    out.run = [choice](Context& context) { return run_dump(context, *choice); };
    return out;
}

}  // namespace holdfast::app
