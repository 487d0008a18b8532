#include "app/command.h"
#include "app/context.h"
#include "app/item_text.h"
#include "app/select.h"
#include "base/text.h"
#include "engine/look.h"

namespace holdfast::app {

namespace {

struct LsChoice {
    Wanted wanted;
    bool recursive = false;
};

int run_ls(Context& context, const LsChoice& choice) {
    const auto repository = context.open_repository();
    const Selected selected = select_snapshot(repository->snapshots(), choice.wanted, context.world.clock.now());
    for (const std::string& remark : selected.remarks) context.out.say(remark);
    std::uint64_t items = 0;
    engine::list(*repository, *selected.snapshot, selected.path, choice.recursive || selected.path.empty(),
                 [&](const Item& item) {
                     ++items;
                     if (context.out.is_json()) {
                         context.out.record(json_of(item));
                     } else {
                         context.out.line(context.out.quiet ? printable(item.path) : item_text(item));
                     }
                     return !context.world.stop.requested();
                 });
    context.world.stop.check();
    if (context.out.is_json())
        context.out.record({{"type", "summary"},
                            {"schema", "holdfast.ls/1"},
                            {"snapshot", selected.snapshot->id.hex()},
                            {"items", items}});
    return 0;
}

}  // namespace

Command ls_command() {
    const auto choice = std::make_shared<LsChoice>();
    Command out;
    out.name = "ls";
    out.part = Part::look;
    out.summary = "list what is in a snapshot";
    out.details =
        "Without a path all items are listed; with one, what lies directly in that folder, or all below it "
        "with "
        "--recursive.";
    out.examples = {{"holdfast ls latest", "everything in the newest snapshot"},
                    {"holdfast ls 7c19:/etc/ssh", "one folder of snapshot 7c19…"},
                    {"holdfast ls latest --source uploads --at 2d -q", "names only, as of two days ago"}};
    out.ends_with_its_reader = true;
    out.options.word(choice->wanted.text, "SNAPSHOT", "id, `latest` or a source's name; `:/path` may follow").offers =
        Option::Offers::snapshots;
    out.options.flag(choice->recursive, "-R,--recursive", "also what is in folders of the folder");
    add_selection(out.options, choice->wanted);
    out.run = [choice](Context& context) { return run_ls(context, *choice); };
    return out;
}

}  // namespace holdfast::app
