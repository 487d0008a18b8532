#include <filesystem>

#include "app/command.h"
#include "app/context.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "mount/mount.h"
#include "repo/keys.h"

namespace holdfast::app {

namespace {

struct MountChoice {
    std::string folder;
    Wanted wanted;
    bool allow_other = false;
    MountChoice() { wanted.text.clear(); }
};

void refuse_folder(const std::string& folder) {
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error))
        throw Error{Code::usage, "{} is not a folder", printable(folder)}.hint("Make an empty one: `mkdir FOLDER`.");
    if (!std::filesystem::is_empty(folder, error))
        throw Error{Code::usage, "{} is not empty", printable(folder)}.hint(
            "What is in it could not be seen while mounted.");
}

int run_mount(Context& context, const MountChoice& choice) {
    refuse_folder(choice.folder);
    const auto repository = context.open_repository();
    repository->keys().require(repo::Right::read, "read what was backed up");
    mount::MountRequest request;
    request.folder = choice.folder;
    request.allow_other = choice.allow_other;
    if (!choice.wanted.text.empty() || choice.wanted.at) {
        Wanted wanted = choice.wanted;
        if (wanted.text.empty()) wanted.text = "latest";
        const Selected selected = select_snapshot(repository->snapshots(), wanted, context.world.clock.now());
        for (const std::string& remark : selected.remarks) context.out.say(remark);
        request.snapshots = {selected.snapshot};
        request.only = selected.path;
    } else {
        for (const repo::Snapshot& snapshot : repository->snapshots())
            if (!choice.wanted.source || is_source(snapshot, *choice.wanted.source))
                request.snapshots.push_back(&snapshot);
    }
    mount::mount(*repository, request, [&] {
        context.out.say(fmt::format("mounted on {}; Ctrl-C or `umount {}` ends it", printable(choice.folder),
                                    printable(choice.folder)));
    });
    return 0;
}

}  // namespace

Command mount_command() {
    const auto choice = std::make_shared<MountChoice>();
    Command out;
    out.name = "mount";
    out.part = Part::look;
    out.summary = "show snapshots as a read-only folder";
    out.details =
        "Without SNAPSHOT all are there: ids/ID holds each tree, sources/SOURCE/TIME and latest lead to them. With "
        "one, the "
        "folder is that snapshot, or its PATH. Bytes are read, checked and opened as they are asked for. It runs until "
        "it is "
        "unmounted, and does not see snapshots that are made meanwhile.";
    out.examples = {{"holdfast mount /mnt/backup", "then: ls /mnt/backup/sources"},
                    {"holdfast mount /mnt/etc latest:/etc", "one folder of the newest snapshot"}};
    out.options.word(choice->folder, "FOLDER", "an empty folder to mount on").required = true;
    out.options.word(choice->wanted.text, "SNAPSHOT", "id, `latest` or a source's name; `:PATH` may follow").offers =
        Option::Offers::snapshots;
    out.options.flag(choice->allow_other, "--allow-other", "let other users of this machine look, too");
    add_selection(out.options, choice->wanted);
    out.run = [choice](Context& context) { return run_mount(context, *choice); };
    return out;
}

}  // namespace holdfast::app
