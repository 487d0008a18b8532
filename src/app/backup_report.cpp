#include "app/backup_report.h"

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

Json json_of(const repo::ItemCounts& items) {
    return {{"new", items.added}, {"changed", items.changed}, {"unchanged", items.unchanged}, {"failed", items.failed}};
}

Json json_of(const repo::ByteCounts& bytes) {
    return {{"logical", bytes.logical}, {"read", bytes.read}, {"added", bytes.added}, {"stored", bytes.stored}};
}

std::map<std::string, std::string> parse_tags(const std::vector<std::string>& texts) {
    std::map<std::string, std::string> out;
    for (const std::string& text : texts) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0)
            throw Error{Code::usage, "--tag needs KEY=VALUE, not `{}`", text};
        out[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return out;
}

void print_report(Output& out, const engine::BackupReport& report, bool dry_run) {
    const repo::Snapshot& snapshot = report.snapshot;
    print_findings(out, report.findings);
    if (out.is_json()) {
        Json line{{"type", "snapshot"},
                  {"snapshot", dry_run ? Json() : Json(snapshot.id.hex())},
                  {"source", to_valid_utf8(snapshot.source)},
                  {"seconds", report.seconds},
                  {"items", json_of(snapshot.counts)},
                  {"bytes", json_of(snapshot.bytes)}};
        if (dry_run) line["dry_run"] = true;
        out.record(line);
        return;
    }
    if (out.quiet) {
        if (!dry_run) out.line(snapshot.id.hex());
        return;
    }
    const repo::ItemCounts& items = snapshot.counts;
    out.line(dry_run ? fmt::format("{}: dry run, nothing was stored", printable(snapshot.source))
                     : fmt::format("snapshot {} of {}", snapshot.id.short_hex(), printable(snapshot.source)));
    out.line(fmt::format("  items  {}: {} new, {} changed, {} unchanged{}", human_count(items.total()),
                         human_count(items.added), human_count(items.changed), human_count(items.unchanged),
                         items.failed == 0 ? "" : fmt::format(", {} failed", human_count(items.failed))));
    out.line(fmt::format("  bytes  {}: read {}, added {}{}", human_bytes(snapshot.bytes.logical),
                         human_bytes(snapshot.bytes.read), human_bytes(snapshot.bytes.added),
                         dry_run ? "" : fmt::format(", stored {}", human_bytes(snapshot.bytes.stored))));
    out.line(fmt::format("  time   {}", time_and_rate(report.seconds, snapshot.bytes.read)));
}

}  // namespace holdfast::app
