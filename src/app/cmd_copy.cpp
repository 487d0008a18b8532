#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/maintain.h"

namespace holdfast::app {

namespace {

struct CopyChoice {
    std::vector<std::string> ids;
    std::string to;
    std::string to_key_file;
    std::optional<std::string> source;
    bool dry_run = false;
};

std::vector<repo::SnapshotId> chosen(const repo::Repository& from, const CopyChoice& choice) {
    std::vector<repo::SnapshotId> out;
    for (const std::string& id : choice.ids) out.push_back(snapshot_by_id(from.snapshots(), id).id);
    if (!choice.source) return out;
    if (!out.empty()) throw Error{Code::usage, "ids of snapshots and --source do not go together"};
    for (const repo::Snapshot& snapshot : from.snapshots()) {
        if (is_source(snapshot, *choice.source)) out.push_back(snapshot.id);
    }
    if (out.empty()) throw Error{Code::not_found, "there is no snapshot of source {}", *choice.source};
    return out;
}

void print_report(Output& out, const engine::CopyReport& report, bool dry_run) {
    std::uint64_t copied = 0;
    Json ids = Json::array();
    for (const engine::CopyReport::Copied& each : report.snapshots) {
        if (!each.already_there) {
            ++copied;
            ids.push_back(each.id.hex());
        }
        if (out.is_json()) {
            out.record({{"type", "snapshot"},
                        {"snapshot", each.id.hex()},
                        {"source", each.source},
                        {"already_there", each.already_there}});
        } else if (!out.quiet && (!each.already_there || out.verbose)) {
            out.line(fmt::format("{} {} of {}",
                                 each.already_there ? "is there"
                                 : dry_run          ? "would copy"
                                                    : "copied",
                                 each.id.short_hex(), printable(each.source)));
        }
    }
    if (out.is_json()) {
        out.record(
            {{"type", "summary"},
             {"schema", "holdfast.copy/1"},
             {"snapshots", ids},
             {"bytes", {{"read", report.bytes_read}, {"added", report.bytes_added}, {"stored", report.bytes_stored}}},
             {"dry_run", dry_run}});
    } else if (!out.quiet) {
        out.line(fmt::format("{} {}, {} there already; read {}, stored {}", dry_run ? "would copy" : "copied",
                             counted(copied, "snapshot", "snapshots"), human_count(report.snapshots.size() - copied),
                             human_bytes(report.bytes_read), human_bytes(report.bytes_stored)));
    }
}

int run_copy(Context& context, const CopyChoice& choice) {
    const RepositoryChoice from_choice = context.choose_repository(context.globals.repository);
    const RepositoryChoice to_choice = context.choose_repository(choice.to);
    const auto from = context.open_repository(from_choice, context.usual_places());
    const SecretPlaces places{choice.to_key_file, "HOLDFAST_TO_KEY_FILE", "HOLDFAST_TO_PASSWORD",
                              "HOLDFAST_TO_PASSWORD_FILE"};
    const auto to = context.open_repository(to_choice, places);
    if (from->id() == to->id())
        throw Error{Code::usage, "{} and {} are the same repository", from_choice.name, to_choice.name};
    const auto ids = chosen(*from, choice);
    if (from->snapshots().empty()) throw Error{Code::not_found, "{} has no snapshots to copy", from_choice.name};
    engine::Progress progress;
    const engine::CopyReport report = [&] {
        const ProgressLine line(context.out, context.world.clock, progress, "copying");
        return engine::copy(*from, *to, ids, choice.dry_run, progress);
    }();
    print_report(context.out, report, choice.dry_run);
    return 0;
}

}  // namespace

Command copy_command() {
    const auto choice = std::make_shared<CopyChoice>();
    Command out;
    out.name = "copy";
    out.is_recorded = true;
    out.part = Part::keep;
    out.summary = "copy snapshots to another repository";
    out.details =
        "The other repository must exist. Its passphrase comes from HOLDFAST_TO_PASSWORD, "
        "HOLDFAST_TO_PASSWORD_FILE or `unlock` in the "
        "configuration, or is asked for. Copies keep the ids of their snapshots; what is there already is "
        "not sent again.";
    out.examples = {
        {"holdfast -r main copy --to offsite", "all that is missing there"},
        {"holdfast -r /backups copy 7c19 --to /mnt/usb/backups --to-key-file /root/usb.key", "one snapshot"}};
    out.options.words(choice->ids, "ID", "only these snapshots").offers = Option::Offers::snapshots;
    Option& to = out.options.value(choice->to, "--to", "REPO", "a configured name, a path or a URL");
    to.required = true;
    to.offers = Option::Offers::folders;
    out.options.value(choice->to_key_file, "--to-key-file", "FILE", "unlock it with this key file").offers =
        Option::Offers::files;
    out.options.value(choice->source, "--source", "NAME", "only snapshots of this source").offers =
        Option::Offers::sources;
    out.options.flag(choice->dry_run, "-n,--dry-run", "say what would be copied, copy nothing");
    out.run = [choice](Context& context) { return run_copy(context, *choice); };
    return out;
}

}  // namespace holdfast::app
