#include <algorithm>
#include <array>
#include <map>

#include "app/command.h"
#include "app/context.h"
#include "app/job_health.h"
#include "app/recorder.h"
#include "base/error.h"
#include "base/file.h"
#include "base/stopped.h"
#include "base/text.h"
#include "engine/replicate.h"
#include "policy/part_name.h"
#include "report/copies.h"
#include "report/document.h"
#include "report/validation.h"
#include "sandbox/sandbox.h"

namespace holdfast::app {

namespace {

constexpr Nanoseconds one_day = 86'400 * one_second;
constexpr Nanoseconds proof_age_default = 8 * one_day;  // a weekly proof and a day
constexpr std::array<std::string_view, 4> formats{"text", "markdown", "html", "json"};

struct ReportChoice {
    std::string format = "text";
    std::optional<Nanoseconds> within;
};

bool as_json(const Context& context, const ReportChoice& choice) {
    return context.out.is_json() || choice.format == "json";
}

void print(Output& out, const report::Document& document, const std::string& format) {
    out.bytes(as_bytes(format == "html"       ? report::html_of(document)
                       : format == "markdown" ? report::markdown_of(document)
                                              : report::text_of(document)));
}

std::vector<report::ProvenSource> proven_sources(const Config& config, const ledger::Ledger& ledger) {
    std::vector<report::ProvenSource> out;
    for (const SourceConfig& source : config.sources)
        out.push_back({source.name, source.component.empty() ? report::component_of(source.kind) : source.component,
                       ledger.proofs(source.name), source.rto,
                       policy::recovery_time(ledger.recovery_seconds(source.name)), source.criticality});
    return out;
}

std::vector<report::JobHealth> job_healths(const Config& config, const ledger::Ledger& ledger, Nanoseconds now) {
    std::vector<report::JobHealth> out;
    for (const policy::Job& job : config.jobs) {
        const auto last = ledger.last_ended(job.name);
        report::JobHealth health{job.name, {}, is_overdue(ledger, job, now)};
        if (last) {
            health.last = last->state;
            const auto whole = ledger.find(last->id);
            health.is_good = whole && is_good(job, *whole);
        }
        out.push_back(std::move(health));
    }
    return out;
}

report::Document document_of(const std::vector<report::ValidationLine>& lines, Nanoseconds now) {
    report::Document out{"Backup Validation Report",
                         {"Date: " + local_time(now), "Validation Namespace: " + default_sandbox_root()},
                         {}};
    report::Section summary{"Summary", {}, {}}, reasons{"Not passed", {}, {}}, remarks{"Passed with a remark", {}, {}};
    for (const report::ValidationLine& line : lines) {
        const bool is_urgent =
            line.verdict != report::Verdict::pass && line.criticality == policy::Criticality::critical;
        summary.lines.push_back(fmt::format("{}: {}{}{}", line.name, report::text_of(line.verdict),
                                            is_urgent ? ", critical" : "",
                                            line.remarks.empty() ? "" : ", with a remark"));
        for (const std::string& reason : line.reasons) reasons.lines.push_back(reason);
        for (const std::string& remark : line.remarks) remarks.lines.push_back(remark);
    }
    out.sections.push_back(std::move(summary));
    for (report::Section* const each : {&reasons, &remarks})
        if (!each->lines.empty()) out.sections.push_back(std::move(*each));
    return out;
}

int run_proof(Context& context, const ReportChoice& choice) {
    const auto ledger = open_ledger(context);
    const Nanoseconds now = context.world.clock.now();
    const auto lines =
        report::validate(proven_sources(context.config(), *ledger), job_healths(context.config(), *ledger, now), now,
                         choice.within.value_or(proof_age_default));
    if (as_json(context, choice)) {
        Json list = Json::array();
        for (const report::ValidationLine& line : lines)
            list.push_back({{"component", line.name},
                            {"criticality", policy::name_of(line.criticality)},
                            {"result", report::text_of(line.verdict)},
                            {"because", line.reasons},
                            {"remarks", line.remarks}});
        context.out.record({{"schema", "holdfast.report.proof/1"}, {"date", rfc3339(now)}, {"summary", list}});
    } else {
        print(context.out, document_of(lines, now), choice.format);
    }
    const auto has = [&](report::Verdict verdict) {
        return std::ranges::find(lines, verdict, &report::ValidationLine::verdict) != lines.end();
    };
    return has(report::Verdict::fail)         ? info_of(Code::corrupt).exit_status
           : has(report::Verdict::not_tested) ? info_of(Code::partial).exit_status
                                              : 0;
}

// A point, and the repositories that have it.
struct InventoryLine {
    repo::Snapshot snapshot;
    std::vector<std::string> repositories;
};

struct Inventory {
    std::vector<InventoryLine> lines;                             // oldest first
    std::vector<std::pair<std::string, std::string>> unreadable;  // repositories, and why
    // By repository: of the newest of each source, those of which something is not there. Nothing: its key cannot tell.
    std::map<std::string, std::optional<std::vector<repo::SnapshotId>>> not_whole;
};

std::optional<std::vector<repo::SnapshotId>> newest_not_whole(repo::Repository& repository) {
    std::map<std::string, const repo::Snapshot*> newest;
    for (const repo::Snapshot& snapshot : repository.snapshots()) {
        const repo::Snapshot*& known = newest[snapshot.source];
        if (known == nullptr || snapshot.time >= known->time) known = &snapshot;
    }
    std::vector<repo::SnapshotId> ids;
    for (const auto& [source, snapshot] : newest) ids.push_back(snapshot->id);
    try {
        return engine::not_there(repository, ids);
    } catch (const Error& error) {
        if (error.code() != Code::denied) throw;
        return std::nullopt;
    }
}

Inventory inventory(Context& context) {
    std::vector<RepositoryChoice> choices;
    if (context.config().repositories.empty() || !context.globals.repository.empty())
        choices.push_back(context.choose_repository(context.globals.repository));
    else
        for (const RepositoryConfig& each : context.config().repositories)
            choices.push_back(context.choose_repository(each.name));
    Inventory out;
    std::map<repo::SnapshotId, InventoryLine> lines;
    for (const RepositoryChoice& choice : choices) {
        try {
            const auto repository = context.open_repository(choice, context.usual_places());
            out.not_whole[choice.name] = newest_not_whole(*repository);
            for (const repo::Snapshot& snapshot : repository->snapshots()) {
                InventoryLine& line = lines[snapshot.id];
                if (line.repositories.empty()) line.snapshot = snapshot;
                if (snapshot.proof) line.snapshot.proof = snapshot.proof;
                line.repositories.push_back(choice.name);
            }
        } catch (const Error& error) {
            // The others are all the more worth knowing.
            if (choices.size() == 1 || is_stop(error.code())) throw;
            context.out.warn(fmt::format("{}: {}", printable(choice.name), error.message()));
            out.unreadable.emplace_back(choice.name, error.message());
        }
    }
    for (auto& [id, line] : lines) out.lines.push_back(std::move(line));
    std::ranges::stable_sort(out.lines, {}, [](const InventoryLine& line) { return line.snapshot.time; });
    return out;
}

// Of each source, by its newest point.
std::vector<report::CopiesRow> copies_of(const Config& config, const Inventory& inventory) {
    std::map<std::string, report::CopiesOfSource> sources;
    for (const InventoryLine& line : inventory.lines) {
        report::CopiesOfSource& source = sources[line.snapshot.source];
        source.source = line.snapshot.source;
        source.proof.reset();
        if (const auto& proof = line.snapshot.proof; proof && proof->result != repo::ProofResult::not_tested)
            source.proof = proof->result == repo::ProofResult::pass;
        for (report::PlaceOfCopy& place : source.places) {
            place.has_newest = false;
            place.is_whole = true;
        }
        for (const std::string& name : line.repositories) {
            auto at = std::ranges::find(source.places, name, &report::PlaceOfCopy::name);
            if (at == source.places.end()) {
                const RepositoryConfig* const configured = config.repository(name);
                source.places.push_back(
                    {name, configured ? configured->medium : "", configured && configured->offsite});
                at = source.places.end() - 1;
            }
            at->has_newest = true;
            if (const auto& lacking = inventory.not_whole.at(name); !lacking)
                at->is_whole.reset();
            else if (std::ranges::find(*lacking, line.snapshot.id) != lacking->end())
                at->is_whole = false;
        }
    }
    std::vector<report::CopiesRow> out;
    for (auto& [name, source] : sources) {
        if (const SourceConfig* const configured = config.source(policy::whole_of(name)))
            source.criticality = configured->criticality;
        for (const auto& [repository, why] : inventory.unreadable) source.unreadable.push_back(repository);
        out.push_back(report::copies_row(source));
    }
    std::ranges::stable_sort(out, {}, &report::CopiesRow::criticality);
    return out;
}

Json json_of(const report::CopiesRow& row) {
    return {{"source", row.source},        {"criticality", policy::name_of(row.criticality)},
            {"copies", row.copies},        {"media", row.media},
            {"offsite", row.offsite},      {"immutable", Json()},  // not tested yet
            {"errors", row.errors},        {"proven", row.is_proven},
            {"shortfalls", row.shortfalls}};
}

report::Section section_of(const std::vector<report::CopiesRow>& rows) {
    report::Section out{"Copies (3-2-1-1-0)",
                        {},
                        {{"Source", "Criticality", "Copies", "Media", "Off-site", "Immutable", "Errors"}, {}}};
    const auto number = [](std::size_t value) { return fmt::format("{}", value); };
    for (const report::CopiesRow& row : rows) {
        out.table.rows.push_back({row.source, std::string(policy::name_of(row.criticality)), number(row.copies),
                                  number(row.media), number(row.offsite), "NOT TESTED",
                                  row.is_proven || row.errors > 0 ? number(row.errors) : "NOT TESTED"});
        out.lines.push_back(row.source + ": " + join(row.shortfalls, "; "));
    }
    return out;
}

std::string proof_text(const repo::Snapshot& snapshot) {
    if (!snapshot.proof) return "never";
    return fmt::format("V{} {}{}", snapshot.proof->level,
                       snapshot.proof->result == repo::ProofResult::pass   ? "PASS"
                       : snapshot.proof->result == repo::ProofResult::fail ? "FAIL"
                                                                           : "NOT TESTED",
                       snapshot.several_instants ? ", not one instant" : "");
}

int run_inventory(Context& context, const ReportChoice& choice) {
    const Inventory found = inventory(context);
    const std::vector<InventoryLine>& lines = found.lines;
    const std::vector<report::CopiesRow> copies = copies_of(context.config(), found);
    const int status = found.unreadable.empty() ? 0 : info_of(Code::partial).exit_status;
    if (as_json(context, choice)) {
        Json list = Json::array();
        for (const InventoryLine& line : lines)
            list.push_back({{"snapshot", line.snapshot.id.hex()},
                            {"time", rfc3339(line.snapshot.time)},
                            {"source", line.snapshot.source},
                            {"kind", line.snapshot.kind},
                            {"bytes", {{"logical", line.snapshot.bytes.logical}}},
                            {"copies", line.repositories},
                            {"proof", proof_text(line.snapshot)}});
        Json rows = Json::array(), unreadable = Json::array();
        for (const report::CopiesRow& row : copies) rows.push_back(json_of(row));
        for (const auto& [name, why] : found.unreadable) unreadable.push_back({{"repository", name}, {"because", why}});
        context.out.record({{"schema", "holdfast.report.inventory/1"},
                            {"points", list},
                            {"sources", rows},
                            {"unreadable", unreadable}});
        return status;
    }
    report::Document document{"Backup Inventory", {"Date: " + local_time(context.world.clock.now())}, {}};
    report::Section points{"Points", {}, {{"Time", "Source", "Kind", "Size", "Copies", "Proof", "Snapshot"}, {}}};
    for (const InventoryLine& line : lines)
        points.table.rows.push_back({local_time(line.snapshot.time), line.snapshot.source, line.snapshot.kind,
                                     human_bytes(line.snapshot.bytes.logical), join(line.repositories, ", "),
                                     proof_text(line.snapshot), line.snapshot.id.short_hex()});
    document.header.push_back(counted(lines.size(), "point", "points"));
    if (!copies.empty()) document.sections.push_back(section_of(copies));
    document.sections.push_back(std::move(points));
    print(context.out, document, choice.format);
    return status;
}

Command report_command(const std::string& which, const std::shared_ptr<ReportChoice>& choice) {
    Command out;
    out.name = "report " + which;
    out.part = Part::run;
    out.ends_with_its_reader = true;
    out.options.one_of(choice->format, "--format", "FORMAT", formats, "text, markdown, html or json (default text)");
    return out;
}

}  // namespace

Command report_proof_command() {
    const auto choice = std::make_shared<ReportChoice>();
    Command out = report_command("proof", choice);
    out.summary = "print the Backup Validation Report";
    out.details =
        "PASS, FAIL or NOT TESTED for every component and for the jobs. A component passes when the newest proof of "
        "each "
        "of its sources passed at V3 or better and is not older than --within; the jobs pass when the last run of each "
        "was done and none is overdue.\n"
        "Exit status: 0 all passed, 13 something failed, 3 something is not tested.";
    out.examples = {{"holdfast report proof", "as a mail"},
                    {"holdfast report proof --format html > proof.html", "as a page"},
                    {"holdfast report proof --within 32d", "for proofs once a month"}};
    out.options.duration(choice->within, "--within", "AGE", "a proof counts for so long (default 8d)");
    out.run = [choice](Context& context) { return run_proof(context, *choice); };
    return out;
}

Command report_inventory_command() {
    const auto choice = std::make_shared<ReportChoice>();
    Command out = report_command("inventory", choice);
    out.summary = "list every point that can be restored, and its copies";
    out.details =
        "Looks into every repository of the configuration, or that of -r. Of each source it says how many copies its "
        "newest "
        "snapshot has (the source itself is one), on how many media, how many off-site (`medium` and `offsite` of the "
        "repositories), how many of them are immutable, which is not tested yet, and how many errors there are: copies "
        "that lack "
        "it, repositories that cannot be looked into, a failed proof.\n"
        "Exit status: 3 when a repository cannot be looked into.";
    out.examples = {{"holdfast report inventory --format markdown", "for the monthly report"},
                    {"holdfast report inventory --json", "for programs"}};
    out.run = [choice](Context& context) { return run_inventory(context, *choice); };
    return out;
}

}  // namespace holdfast::app
