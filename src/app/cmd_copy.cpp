#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "app/replica_copy.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/maintain.h"
#include "repo/keys.h"
#include "repo/names.h"

namespace holdfast::app {

namespace {

struct CopyChoice {
    std::vector<std::string> ids;
    std::string to;
    std::string to_key_file;
    std::optional<std::string> source;
    ReplicaCopy replica;
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
             {"how", "rekeyed"},
             {"snapshots", ids},
             {"bytes", {{"read", report.bytes_read}, {"added", report.bytes_added}, {"stored", report.bytes_stored}}},
             {"dry_run", dry_run}});
    } else if (!out.quiet) {
        out.line(fmt::format("{} {}, {} there already; read {}, stored {}", dry_run ? "would copy" : "copied",
                             counted(copied, "snapshot", "snapshots"), human_count(report.snapshots.size() - copied),
                             human_bytes(report.bytes_read), human_bytes(report.bytes_stored)));
    }
}

// Objects of one family are copied as they are; those of another are opened, and sealed anew.
bool is_of_family(Store& store, const repo::Repository& from) {
    const auto config = store.read(repo::names::config);
    return config && repo::decode_config(*config).repository == from.id();
}

int copy_to_replica(Context& context, repo::Repository& from, Store& to, const CopyChoice& choice) {
    if (!chosen(from, choice).empty()) context.out.say("A replica takes all snapshots.");
    return run_replica_copy(context, from, to, choice.replica);
}

int run_copy(Context& context, const CopyChoice& choice) {
    const RepositoryChoice from_choice = context.choose_repository(context.globals.repository);
    const RepositoryChoice to_choice = context.choose_repository(choice.to);
    const auto from = context.open_repository(from_choice, context.usual_places());
    {
        const auto store = context.open_store_of(to_choice);
        if (store->url() == from->store().url())
            throw Error{Code::usage, "{} and {} are the same repository", from_choice.name, to_choice.name};
        if (is_of_family(*store, *from)) return copy_to_replica(context, *from, *store, choice);
    }
    if (choice.replica.follow || choice.replica.compare)
        throw Error{Code::usage, "{} has keys of its own; --follow and --compare are for replicas", to_choice.name}
            .unharmed("nothing was copied")
            .hint("`holdfast init --like` makes a replica.");
    const SecretPlaces places{choice.to_key_file, "HOLDFAST_TO_KEY_FILE", "HOLDFAST_TO_PASSWORD",
                              "HOLDFAST_TO_PASSWORD_FILE"};
    const auto to = context.open_repository(to_choice, places);
    const auto ids = chosen(*from, choice);
    if (from->snapshots().empty()) throw Error{Code::not_found, "{} has no snapshots to copy", from_choice.name};
    engine::Progress progress;
    const engine::CopyReport report = [&] {
        const ProgressLine line(context.out, context.world.clock, progress, "copying");
        return engine::copy(*from, *to, ids, choice.replica.dry_run, progress);
    }();
    print_report(context.out, report, choice.replica.dry_run);
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
        "The other repository must exist. One that `init --like` made is a replica: it takes everything, byte for "
        "byte, by the "
        "holder of any key, and needs no passphrase of its own; nobody else writes to it. A damaged pack is not "
        "copied, and is "
        "exit status 3. What the replica has is never overwritten or removed, whatever is lost here.\n"
        "--follow keeps a replica up to date until it is stopped, and says how old what it lacked was.\n"
        "A repository with keys of its own is copied to re-keyed: contents are opened and sealed anew, which needs a "
        "key that "
        "reads here and a full one there. Its passphrase comes from HOLDFAST_TO_PASSWORD, HOLDFAST_TO_PASSWORD_FILE or "
        "`unlock` "
        "in the configuration, or is asked for. Copies keep the ids of their snapshots; what is there already is "
        "not sent again.";
    out.examples = {
        {"holdfast -r main copy --to offsite", "all that is missing there"},
        {"holdfast -r main copy --to offsite --follow --interval 10s", "again and again, until it is stopped"},
        {"holdfast -r /backups copy 7c19 --to /mnt/usb/backups --to-key-file /root/usb.key", "one snapshot"}};
    out.options.words(choice->ids, "ID", "only these snapshots").offers = Option::Offers::snapshots;
    Option& to = out.options.value(choice->to, "--to", "REPO", "a configured name, a path or a URL");
    to.required = true;
    to.offers = Option::Offers::folders;
    out.options.value(choice->to_key_file, "--to-key-file", "FILE", "unlock it with this key file").offers =
        Option::Offers::files;
    out.options.value(choice->source, "--source", "NAME", "only snapshots of this source").offers =
        Option::Offers::sources;
    out.options.flag(choice->replica.follow, "--follow", "go on copying what is new, until stopped");
    out.options.duration(choice->replica.interval, "--interval", "TIME",
                         "with --follow: look for new snapshots so often (10s)");
    out.options.flag(choice->replica.compare, "--compare", "read what the replica has already, and compare it");
    out.options.flag(choice->replica.dry_run, "-n,--dry-run", "say what would be copied, copy nothing");
    out.run = [choice](Context& context) { return run_copy(context, *choice); };
    return out;
}

}  // namespace holdfast::app
