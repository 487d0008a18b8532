#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "app/replica_copy.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/maintain.h"
#include "engine/replicate.h"
#include "engine/rounds.h"
#include "repo/keys.h"
#include "repo/names.h"

namespace holdfast::app {

namespace {

struct CopyChoice {
    std::vector<std::string> ids;
    std::string to;
    std::string to_key_file;
    std::optional<std::string> source;
    std::optional<std::string> tag;
    bool verify = false;
    ReplicaCopy replica;

    bool is_all() const { return ids.empty() && !source && !tag; }
};

bool has_tag(const repo::Snapshot& snapshot, const std::string& tag) {
    const std::size_t equals = tag.find('=');
    const auto found = snapshot.tags.find(tag.substr(0, equals));
    return found != snapshot.tags.end() && (equals == std::string::npos || found->second == tag.substr(equals + 1));
}

// By source and tag what the target has not forgotten; whoever names a snapshot is told that it was.
std::vector<repo::SnapshotId> chosen(const repo::Repository& from, const repo::Repository& to,
                                     const CopyChoice& choice) {
    std::vector<repo::SnapshotId> out;
    if (!choice.ids.empty()) {
        if (choice.source || choice.tag)
            throw Error{Code::usage, "ids of snapshots go with neither --source nor --tag"};
        for (const std::string& id : choice.ids) out.push_back(snapshot_by_id(from.snapshots(), id).id);
        return out;
    }
    bool is_any = false;
    for (const repo::Snapshot& snapshot : from.snapshots()) {
        if (choice.source && !is_source(snapshot, *choice.source)) continue;
        if (choice.tag && !has_tag(snapshot, *choice.tag)) continue;
        is_any = true;
        if (!to.was_forgotten(snapshot.id)) out.push_back(snapshot.id);
    }
    if (!is_any && !choice.replica.follow)
        throw Error{Code::not_found, "there is no snapshot{}{} to copy",
                    choice.source ? " of source " + *choice.source : "",
                    choice.tag ? " with the tag " + *choice.tag : ""};
    return out;
}

// `lag`: of a round of those that follow.
void print_report(Output& out, const engine::CopyReport& report, bool dry_run, std::optional<Nanoseconds> lag = {}) {
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
        Json line{
            {"type", lag ? "round" : "summary"},
            {"how", "rekeyed"},
            {"snapshots", ids},
            {"bytes", {{"read", report.bytes_read}, {"added", report.bytes_added}, {"stored", report.bytes_stored}}}};
        if (lag)
            line["lag_seconds"] = static_cast<double>(*lag) / one_second;
        else
            line.update({{"schema", "holdfast.copy/1"}, {"dry_run", dry_run}});
        out.record(line);
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

// Also those that were there before: somebody may have taken something of them since.
void fail_unless_there(repo::Repository& to, const engine::CopyReport& report) {
    std::vector<repo::SnapshotId> ids;
    for (const engine::CopyReport::Copied& each : report.snapshots) ids.push_back(each.id);
    to.refresh();
    const std::vector<repo::SnapshotId> missing = engine::not_there(to, ids);
    if (missing.empty()) return;
    throw Error{Code::corrupt, "{} in {}, beginning with {}",
                counted(missing.size(), "copy is not whole", "copies are not whole"), to.store().url(),
                missing.front().short_hex()}
        .unharmed("the originals are unharmed")
        .hint("`holdfast check` says what is missing there, `holdfast repair --from` brings it back.");
}

// How old the oldest is that was not there.
Nanoseconds lag_of(const repo::Repository& from, const engine::CopyReport& report) {
    Nanoseconds oldest = from.world().clock.now();
    const Nanoseconds now = oldest;
    for (const engine::CopyReport::Copied& each : report.snapshots) {
        const auto at = std::ranges::find(from.snapshots(), each.id, &repo::Snapshot::id);
        if (!each.already_there && at != from.snapshots().end()) oldest = std::min(oldest, at->received);
    }
    return now - oldest;
}

int follow_with_other_keys(Context& context, repo::Repository& from, repo::Repository& to, const CopyChoice& choice) {
    engine::Rounds rounds;
    if (choice.replica.interval) rounds.every = *choice.replica.interval;
    Output& out = context.out;
    Nanoseconds whole = 0;
    const auto round = [&] {
        const Nanoseconds began = context.world.clock.now();
        from.refresh(repo::NotesFrom::names);
        to.refresh(repo::NotesFrom::names);
        std::vector<repo::SnapshotId> ids;
        for (const repo::SnapshotId& id : chosen(from, to, choice))
            if (std::ranges::find(to.snapshots(), id, &repo::Snapshot::id) == to.snapshots().end()) ids.push_back(id);
        if (!ids.empty()) {
            engine::Progress progress;
            const engine::CopyReport report = engine::copy(from, to, ids, false, progress);
            print_report(out, report, false, lag_of(from, report));
            if (choice.verify) fail_unless_there(to, report);
        }
        whole = began;
        tell_whole(out, began);
    };
    const auto trouble = [&](const Error& error, Nanoseconds wait) {
        tell_trouble(out, error, whole == 0 ? 0 : context.world.clock.now() - whole, wait);
    };
    engine::go_on(context.world, rounds, round, trouble);
    return 0;
}

int copy_to_replica(Context& context, repo::Repository& from, Store& to, const CopyChoice& choice) {
    if (!choice.ids.empty() || choice.source) context.out.say("A replica takes all snapshots.");
    return run_replica_copy(context, from, to, choice.replica);
}

int run_copy(Context& context, const CopyChoice& choice) {
    if (choice.replica.follow && (choice.replica.dry_run || choice.replica.compare))
        throw Error{Code::usage, "--follow goes with neither --dry-run nor --compare"};
    if (choice.replica.follow && !choice.ids.empty())
        throw Error{Code::usage, "--follow copies what will be there, so it goes with no ids"};
    if (choice.replica.interval && !choice.replica.follow) throw Error{Code::usage, "--interval goes with --follow"};
    const RepositoryChoice from_choice = context.choose_repository(context.globals.repository);
    RepositoryChoice to_choice = context.choose_repository(choice.to);
    to_choice.reads_back = choice.verify;
    const auto from = context.open_repository(from_choice, context.usual_places());
    {
        const auto store = context.open_store_of(to_choice);
        if (store->url() == from->store().url())
            throw Error{Code::usage, "{} and {} are the same repository", from_choice.name, to_choice.name};
        if (is_of_family(*store, *from)) return copy_to_replica(context, *from, *store, choice);
    }
    if (choice.replica.compare)
        throw Error{Code::usage, "{} has keys of its own; --compare is for replicas", to_choice.name}
            .unharmed("nothing was copied")
            .hint("`holdfast init --like` makes a replica.");
    const SecretPlaces places{choice.to_key_file, "HOLDFAST_TO_KEY_FILE", "HOLDFAST_TO_PASSWORD",
                              "HOLDFAST_TO_PASSWORD_FILE"};
    const auto to = context.open_repository(to_choice, places);
    if (choice.replica.follow) return follow_with_other_keys(context, *from, *to, choice);
    if (from->snapshots().empty()) throw Error{Code::not_found, "{} has no snapshots to copy", from_choice.name};
    const auto ids = choice.is_all() ? std::vector<repo::SnapshotId>{} : chosen(*from, *to, choice);
    engine::Progress progress;
    const engine::CopyReport report = [&] {
        if (ids.empty() && !choice.is_all()) return engine::CopyReport{};
        const ProgressLine line(context.out, context.world.clock, progress, "copying");
        return engine::copy(*from, *to, ids, choice.replica.dry_run, progress);
    }();
    print_report(context.out, report, choice.replica.dry_run);
    if (choice.verify && !choice.replica.dry_run) fail_unless_there(*to, report);
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
        "--follow keeps the other repository up to date until it is stopped, and says how old what it lacked was; "
        "`serve` does so for each with `follow: true`.\n"
        "A repository with keys of its own is copied to re-keyed: contents are opened and sealed anew, which needs a "
        "key that "
        "reads here and a full one there. Its passphrase comes from HOLDFAST_TO_PASSWORD, HOLDFAST_TO_PASSWORD_FILE or "
        "`unlock` "
        "in the configuration, or is asked for. Copies keep the ids of their snapshots; what is there already is "
        "not sent again.\n"
        "--verify reads back what is written before it counts, and looks whether the other repository has everything, "
        "also "
        "of what was there before.";
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
    out.options.value(choice->tag, "--tag", "KEY[=VALUE]", "only snapshots with this tag");
    out.options.flag(choice->verify, "--verify", "read back what is written, and look whether everything is there");
    out.options.flag(choice->replica.follow, "--follow", "go on copying what is new, until stopped");
    out.options.duration(choice->replica.interval, "--interval", "TIME",
                         "with --follow: look for new snapshots so often (10s)");
    out.options.flag(choice->replica.compare, "--compare", "read what the replica has already, and compare it");
    out.options.flag(choice->replica.dry_run, "-n,--dry-run", "say what would be copied, copy nothing");
    out.run = [choice](Context& context) { return run_copy(context, *choice); };
    return out;
}

}  // namespace holdfast::app
