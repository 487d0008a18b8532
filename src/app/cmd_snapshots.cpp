#include <algorithm>

#include "app/command.h"
#include "app/context.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr auto not_one_instant = "not one instant";

struct SnapshotsChoice {
    std::vector<std::string> ids;
    std::optional<std::string> source;
    std::optional<std::string> host;
    std::vector<std::string> tags;
    std::uint32_t last = 0;
};

bool has_tags(const repo::Snapshot& snapshot, const std::vector<std::string>& wanted) {
    return std::ranges::all_of(wanted, [&](const std::string& tag) {
        const std::size_t equals = tag.find('=');
        const auto found = snapshot.tags.find(tag.substr(0, equals));
        return found != snapshot.tags.end() && (equals == std::string::npos || found->second == tag.substr(equals + 1));
    });
}

std::vector<const repo::Snapshot*> chosen(const std::vector<repo::Snapshot>& all, const SnapshotsChoice& choice) {
    std::vector<const repo::Snapshot*> out;
    for (const std::string& id : choice.ids) out.push_back(&snapshot_by_id(all, id));
    for (const repo::Snapshot& snapshot : all) {
        if (choice.ids.empty()) out.push_back(&snapshot);
    }
    std::erase_if(out, [&](const repo::Snapshot* each) {
        return (choice.source && !is_source(*each, *choice.source)) || (choice.host && each->host != *choice.host) ||
               !has_tags(*each, choice.tags);
    });
    std::ranges::stable_sort(out, {}, [](const repo::Snapshot* each) { return each->time; });
    if (choice.last > 0 && out.size() > choice.last) out.erase(out.begin(), out.end() - choice.last);
    return out;
}

std::string_view text_of(repo::ProofResult result) {
    return result == repo::ProofResult::pass ? "pass" : result == repo::ProofResult::fail ? "fail" : "not_tested";
}

Json json_of(const std::optional<repo::Proof>& proof) {
    if (!proof) return nullptr;
    return {{"level", fmt::format("V{}", proof->level)},
            {"time", rfc3339(proof->time)},
            {"result", text_of(proof->result)},
            {"seconds", proof->seconds}};
}

// "V4", "V1 FAIL", "V2 not tested further".
std::string proof_text(const repo::Snapshot& snapshot) {
    if (!snapshot.proof) return "-";
    const std::string level = fmt::format("V{}", snapshot.proof->level);
    switch (snapshot.proof->result) {
        case repo::ProofResult::pass:
            return level;
        case repo::ProofResult::fail:
            return level + " FAIL";
        case repo::ProofResult::not_tested:
            break;
    }
    return level + " (not tested further)";
}

Json json_of(const repo::Snapshot& snapshot) {
    Json tags = Json::object();
    for (const auto& [key, value] : snapshot.tags) tags[to_valid_utf8(key)] = value;
    return {{"id", snapshot.id.hex()},
            {"time", rfc3339(snapshot.time)},
            {"source", snapshot.source},
            {"kind", snapshot.kind},
            {"host", snapshot.host},
            {"tags", tags},
            {"point", snapshot.several_instants ? Json{{"consistency", not_one_instant}} : Json::object()},
            {"bytes",
             {{"logical", snapshot.bytes.logical}, {"added", snapshot.bytes.added}, {"stored", snapshot.bytes.stored}}},
            {"items", snapshot.items},
            {"proof", json_of(snapshot.proof)},
            {"describes", snapshot.describes},
            {"received", rfc3339(snapshot.received)},
            {"partial", snapshot.partial},
            {"flags", snapshot.flags},
            {"holds", snapshot.holds}};
}

std::string remarks_of(const repo::Snapshot& snapshot) {
    std::vector<std::string> out;
    if (snapshot.partial) out.emplace_back("partial");
    if (snapshot.several_instants) out.emplace_back(not_one_instant);
    if (!snapshot.holds.empty()) out.emplace_back("held");
    for (const std::string& flag : snapshot.flags) out.push_back(flag);
    return join(out, ", ");
}

std::string tags_of(const repo::Snapshot& snapshot) {
    std::vector<std::string> out;
    for (const auto& [key, value] : snapshot.tags) out.push_back(fmt::format("{}={}", key, value));
    return join(out, " ");
}

void print_table(Output& out, const std::vector<const repo::Snapshot*>& snapshots) {
    using enum Table::Align;
    const bool remarks = std::ranges::any_of(snapshots, [](const auto* each) { return !remarks_of(*each).empty(); });
    std::vector<Table::Column> columns{{"ID", left},     {"TIME", left},   {"SOURCE", left},
                                       {"HOST", left},   {"ITEMS", right}, {"SIZE", right},
                                       {"ADDED", right}, {"TAGS", left},   {"PROOF", left}};
    if (remarks) columns.push_back({"REMARKS", left});
    Table table(std::move(columns));
    for (const repo::Snapshot* each : snapshots) {
        std::vector<std::string> row{each->id.short_hex(),
                                     local_time(each->time),
                                     each->source,
                                     each->host,
                                     human_count(each->items),
                                     human_bytes(each->bytes.logical),
                                     human_bytes(each->bytes.added),
                                     tags_of(*each),
                                     proof_text(*each)};
        if (remarks) row.push_back(remarks_of(*each));
        table.add(std::move(row));
    }
    table.print(out);
}

int run_snapshots(Context& context, const SnapshotsChoice& choice) {
    const auto repository = context.open_repository();
    const auto snapshots = chosen(repository->snapshots(), choice);
    if (context.out.is_json()) {
        Json list = Json::array();
        for (const repo::Snapshot* each : snapshots) list.push_back(json_of(*each));
        context.out.record({{"schema", "holdfast.snapshots/1"}, {"snapshots", list}});
        return 0;
    }
    if (context.out.quiet) {
        for (const repo::Snapshot* each : snapshots) context.out.line(each->id.hex());
        return 0;
    }
    if (!snapshots.empty()) print_table(context.out, snapshots);
    const auto good = std::ranges::count_if(snapshots, [](const auto* each) { return each->is_good(); });
    context.out.say(counted(snapshots.size(), "snapshot", "snapshots") + (snapshots.empty() ? ""
                                                                          : good == 0
                                                                              ? "; none is proven yet"
                                                                              : fmt::format("; {} good", good)));
    return 0;
}

}  // namespace

Command snapshots_command() {
    const auto choice = std::make_shared<SnapshotsChoice>();
    Command out;
    out.name = "snapshots";
    out.part = Part::look;
    out.summary = "list the snapshots";
    out.details =
        "Times are local; with --json they are in UTC. PROOF says up to which level a snapshot was restored and "
        "compared by `prove`, or at which it failed; `-`: never.";
    out.examples = {{"holdfast snapshots", "all of them, oldest first"},
                    {"holdfast snapshots --source files:/etc --last 5", "the five newest of one source"},
                    {"holdfast snapshots --json | jq '.snapshots[].id'", "for programs"}};
    out.ends_with_its_reader = true;
    out.options.words(choice->ids, "ID", "only these").offers = Option::Offers::snapshots;
    out.options.value(choice->source, "--source", "NAME", "of this source, with or without @host").offers =
        Option::Offers::sources;
    out.options.value(choice->host, "--host", "NAME", "made on this host");
    out.options.list(choice->tags, "-t,--tag", "KEY[=VALUE]", "with this tag");
    out.options.number(choice->last, "--last", "N", "only the newest N");
    out.run = [choice](Context& context) { return run_snapshots(context, *choice); };
    return out;
}

}  // namespace holdfast::app
