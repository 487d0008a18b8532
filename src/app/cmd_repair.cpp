#include "app/check_plan.h"
#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/repair.h"

namespace holdfast::app {

namespace {

struct RepairChoice {
    std::string from;
    std::string from_key_file;
    std::optional<std::string> read_data;
    bool dry_run = false;
};

void print_damage(Output& out, const engine::CheckReport& before) {
    for (const engine::Damage& each : before.errors) out.line(fmt::format("{}: {}", printable(each.object), each.kind));
}

Json objects_of(const std::vector<engine::Damage>& damage) {
    Json out = Json::array();
    for (const engine::Damage& each : damage) out.push_back(each.object);
    return out;
}

void print_left(Output& out, const std::vector<engine::Damage>& left) {
    for (const engine::Damage& each : left)
        out.line(fmt::format("not repaired: {}: {}", printable(each.object), printable(each.effect)));
}

void fail_for_left(const std::vector<engine::Damage>& left, std::string_view hint) {
    if (left.empty()) return;
    throw Error{Code::corrupt, "{} damaged yet that {} in no pack", counted(left.size(), "object is", "objects are"),
                left.size() == 1 ? "lies" : "lie"}
        .unharmed("what could be had was brought, nothing else was touched")
        .hint(std::string(hint));
}

void print_report(Output& out, const engine::RepairReport& report, bool dry_run) {
    if (out.is_json()) {
        Json failed = Json::array();
        for (const auto& each : report.failed) failed.push_back({{"snapshot", each.id.hex()}, {"why", each.why}});
        out.record({{"type", "summary"},
                    {"schema", "holdfast.repair/1"},
                    {"damaged", {{"packs", report.before.damaged.size()}, {"objects", report.before.errors.size()}}},
                    {"chunks", report.chunks},
                    {"bytes", report.bytes},
                    {"repaired", ids_of(report.repaired)},
                    {"failed", failed},
                    {"absent", ids_of(report.absent)},
                    {"not_whole", ids_of(report.not_whole)},
                    {"left", objects_of(report.left)},
                    {"dry_run", dry_run}});
        return;
    }
    print_damage(out, report.before);
    for (const auto& each : report.failed)
        out.line(fmt::format("not repaired: snapshot {}: {}", each.id.short_hex(), each.why));
    for (const repo::SnapshotId& id : report.absent) out.line(fmt::format("not there: snapshot {}", id.short_hex()));
    for (const repo::SnapshotId& id : report.not_whole)
        out.line(fmt::format("not repaired: snapshot {}: it needs what is damaged", id.short_hex()));
    print_left(out, report.left);
    if (out.quiet) return;
    if (report.before.errors.empty() && report.chunks == 0)
        out.line("there is no damage");
    else
        out.line(fmt::format("{} {} of {}, {}", dry_run ? "would store" : "stored",
                             counted(report.chunks, "chunk", "chunks"),
                             counted(report.repaired.size(), "snapshot", "snapshots"), human_bytes(report.bytes)));
}

void print_report(Output& out, const engine::ReplicaRepairReport& report, bool dry_run) {
    if (out.is_json()) {
        Json failed = Json::array();
        for (const engine::Damage& each : report.failed)
            failed.push_back({{"object", each.object}, {"kind", each.kind}, {"why", each.effect}});
        out.record({{"type", "summary"},
                    {"schema", "holdfast.repair.replica/1"},
                    {"damaged", {{"packs", report.before.damaged.size()}, {"objects", report.before.errors.size()}}},
                    {"packs", report.brought},
                    {"bytes", report.bytes},
                    {"failed", failed},
                    {"left", objects_of(report.left)},
                    {"dry_run", dry_run}});
        return;
    }
    print_damage(out, report.before);
    for (const engine::Damage& each : report.failed)
        out.line(fmt::format("not repaired: {}: {}", each.object, each.effect));
    print_left(out, report.left);
    if (out.quiet) return;
    if (report.before.errors.empty())
        out.line("there is no damage");
    else
        out.line(fmt::format("{} {}, {}", dry_run ? "would bring" : "brought",
                             counted(report.brought.size(), "pack", "packs"), human_bytes(report.bytes)));
}

int run_repair_of_replica(Context& context, repo::Repository& replica, const RepositoryChoice& there, Store& from,
                          const RepairChoice& choice) {
    const auto store = context.open_store_of(there);
    engine::Progress progress;
    const engine::ReplicaRepairReport report = [&] {
        const ProgressLine line(context.out, context.world.clock, progress, "repairing");
        return engine::repair_replica(replica, *store, from, check_plan(choice.read_data), choice.dry_run, progress);
    }();
    print_report(context.out, report, choice.dry_run);
    if (report.failed.empty()) {
        fail_for_left(report.left,
                      "`copy` brings what the replica lacks; `holdfast check` of it says what is damaged.");
        return 0;
    }
    throw Error{Code::corrupt, "{} could not be repaired", counted(report.failed.size(), "pack", "packs")}
        .unharmed("what could be had was brought, no other pack was touched")
        .hint("Another copy may have it. Or repair the origin, and copy again.");
}

int run_repair(Context& context, const RepairChoice& choice) {
    const engine::CheckPlan plan = check_plan(choice.read_data);
    const RepositoryChoice damaged_choice = context.choose_repository(context.globals.repository);
    const RepositoryChoice from_choice = context.choose_repository(choice.from);
    const auto repository = context.open_repository(damaged_choice, context.usual_places());
    const SecretPlaces places{choice.from_key_file, "HOLDFAST_FROM_KEY_FILE", "HOLDFAST_FROM_PASSWORD",
                              "HOLDFAST_FROM_PASSWORD_FILE"};
    const auto from = context.open_repository(from_choice, places);
    if (from->store().url() == repository->store().url())
        throw Error{Code::usage, "{} and {} are the same repository", damaged_choice.name, from_choice.name};
    if (repository->is_replica())
        return run_repair_of_replica(context, *repository, damaged_choice, from->store(), choice);
    engine::Progress progress;
    const engine::RepairReport report = [&] {
        const ProgressLine line(context.out, context.world.clock, progress, "repairing");
        return engine::repair(*repository, *from, plan, choice.dry_run, progress);
    }();
    print_report(context.out, report, choice.dry_run);
    const std::size_t lost = report.failed.size() + report.not_whole.size();
    if (lost == 0) {
        fail_for_left(report.left, "`holdfast check` says what it costs. A replica may have the object as it was.");
        return 0;
    }
    throw Error{Code::corrupt, "{} could not be repaired whole", counted(lost, "snapshot", "snapshots")}
        .unharmed("what could be had was stored, nothing was removed")
        .hint("`holdfast check` says what is still missing; another copy may have it.");
}

}  // namespace

Command repair_command() {
    const auto choice = std::make_shared<RepairChoice>();
    Command out;
    out.name = "repair";
    out.part = Part::keep;
    out.summary = "bring back what is damaged from a copy";
    out.details =
        "Checks the repository, then reads what no sound pack holds from another repository that has the same "
        "snapshots (its "
        "copy, or the one that it is a copy of) and stores it anew. Nothing is removed; a later `prune` takes the "
        "damaged packs. In a replica a damaged pack is exchanged for the sound one of its origin, or of another "
        "replica. "
        "The other one's passphrase comes from HOLDFAST_FROM_PASSWORD, HOLDFAST_FROM_PASSWORD_FILE or `unlock` in the "
        "configuration, or is asked for.";
    out.examples = {{"holdfast -r main repair --from offsite --dry-run", "what is damaged, and could it be had there"},
                    {"holdfast -r main repair --from offsite --read-data", "read every byte, repair what is damaged"}};
    Option& from = out.options.value(choice->from, "--from", "REPO", "a configured name, a path or a URL");
    from.required = true;
    from.offers = Option::Offers::folders;
    out.options.value(choice->from_key_file, "--from-key-file", "FILE", "unlock it with this key file").offers =
        Option::Offers::files;
    add_read_data_option(out.options, choice->read_data);
    out.options.flag(choice->dry_run, "-n,--dry-run", "say what is damaged and what the other one has, store nothing");
    out.run = [choice](Context& context) { return run_repair(context, *choice); };
    return out;
}

}  // namespace holdfast::app
