#include "app/select.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

using repo::Snapshot;

std::string line_of(const Snapshot& snapshot) {
    return fmt::format("{} {} {}", snapshot.id.short_hex(), rfc3339_seconds(snapshot.time), snapshot.source);
}

bool is_hex(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

std::vector<std::string> sources_of(std::span<const Snapshot> snapshots) {
    std::set<std::string> names;
    for (const Snapshot& snapshot : snapshots) names.insert(snapshot.source);
    return {names.begin(), names.end()};
}

std::string list_of(const std::vector<std::string>& names) {
    constexpr std::size_t shown_max = 20;
    if (names.size() <= shown_max) return join(names, ", ");
    return fmt::format("{} and {} more", join(std::span(names).first(shown_max), ", "), names.size() - shown_max);
}

std::string without_end_slash(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
}

struct Split {
    std::string word;  // "latest", "good", an id, or a source's name
    std::string path;
};

// A source's own name may hold colons ("files:/etc@web1"), so the longest name that fits goes first.
Split split_text(std::span<const Snapshot> snapshots, const std::string& text) {
    std::string best;
    for (const std::string& name : sources_of(snapshots)) {
        std::vector<std::string> forms{name};
        if (const std::size_t at = name.rfind('@'); at != std::string::npos) forms.push_back(name.substr(0, at));
        for (const std::string& form : forms) {
            const bool fits = text == form || (text.starts_with(form) && text[form.size()] == ':');
            if (fits && form.size() > best.size()) best = form;
        }
    }
    const std::size_t end = best.empty() ? text.find(':') : best.size();
    if (end >= text.size()) return {text, ""};
    return {text.substr(0, end), without_end_slash(text.substr(end + 1))};
}

std::vector<const Snapshot*> of_source(std::span<const Snapshot> snapshots, const std::string& source) {
    std::vector<const Snapshot*> out;
    for (const Snapshot& snapshot : snapshots) {
        if (is_source(snapshot, source)) out.push_back(&snapshot);
    }
    if (!out.empty()) return out;
    const std::vector<std::string> names = sources_of(snapshots);
    Error error{Code::not_found, "there is no snapshot of source {}", source};
    if (const auto near = nearest(source, names)) throw std::move(error).hint(fmt::format("Did you mean `{}`?", *near));
    throw std::move(error).hint(fmt::format("There are snapshots of: {}.", list_of(names)));
}

void refuse_several_sources(const std::vector<const Snapshot*>& candidates) {
    std::set<std::string> names;
    for (const Snapshot* each : candidates) names.insert(each->source);
    if (names.size() < 2) return;
    throw Error{Code::usage, "there are snapshots of {} sources: {}", names.size(),
                list_of({names.begin(), names.end()})}
        .hint("Choose one with --source.");
}

const Snapshot* newest(const std::vector<const Snapshot*>& candidates) {
    return *std::ranges::max_element(candidates,
                                     [](const Snapshot* a, const Snapshot* b) { return a->time < b->time; });
}

const Snapshot* newest_at(const std::vector<const Snapshot*>& candidates, const std::string& at, Nanoseconds now,
                          std::vector<std::string>& remarks) {
    const auto instant = parse_time(at, now);
    if (!instant)
        throw Error{Code::usage, "`{}` is not a time", at}.hint(
            "Times look like `2026-03-01T04:10:00Z`, `2026-03-01 04:10:00` (local), `2026-03-01` (its end) "
            "or `2h` (ago).");
    if (is_local_time(at)) remarks.push_back(fmt::format("--at {} is {}", at, rfc3339(*instant)));
    std::vector<const Snapshot*> before;
    for (const Snapshot* each : candidates) {
        if (each->time <= *instant) before.push_back(each);
    }
    if (before.empty()) {
        const Snapshot* oldest = *std::ranges::min_element(
            candidates, [](const Snapshot* a, const Snapshot* b) { return a->time < b->time; });
        throw Error{Code::not_found, "no snapshot is as old as {}", rfc3339(*instant)}.hint(
            fmt::format("The oldest one is {}.", line_of(*oldest)));
    }
    const Snapshot* found = newest(before);
    if (found->time < *instant)
        remarks.push_back(
            fmt::format("no continuous capture reaches {}; the newest snapshot at or before it is {} of {}",
                        rfc3339(*instant), found->id.short_hex(), rfc3339(found->time)));
    return found;
}

// Whoever takes the newest should know that an older one is proven.
void remark_unproven(const Snapshot& taken, std::vector<const Snapshot*> candidates,
                     std::vector<std::string>& remarks) {
    if (taken.is_good()) return;
    std::erase_if(candidates, [&](const Snapshot* each) { return !each->is_good() || each->time >= taken.time; });
    if (candidates.empty()) return;
    const Snapshot* const good = newest(candidates);
    const bool failed = taken.proof && taken.proof->result == repo::ProofResult::fail;
    remarks.push_back(fmt::format("snapshot {} {}; the newest good one is {} of {}", taken.id.short_hex(),
                                  failed ? "FAILED its proof" : "is not proven", good->id.short_hex(),
                                  rfc3339(good->time)));
}

}  // namespace

void add_selection(Options& options, Wanted& wanted) {
    options.value(wanted.source, "--source", "NAME", "of this source, with or without @host").offers =
        Option::Offers::sources;
    options.value(wanted.at, "--at", "TIME", "the newest one at or before this time");
}

bool is_source(const Snapshot& snapshot, std::string_view wanted) {
    if (snapshot.source == wanted || snapshot.source + "@" + snapshot.host == wanted) return true;
    const std::size_t at = snapshot.source.rfind('@');
    return at != std::string::npos && std::string_view(snapshot.source).substr(0, at) == wanted;
}

bool is_local_time(std::string_view time) {
    if (parse_duration(time) || time.empty() || time.ends_with('Z') || time.ends_with('z')) return false;
    const std::size_t zone = time.size() - std::min<std::size_t>(time.size(), 6);
    return time.size() <= 10 || (time[zone] != '+' && time[zone] != '-');
}

const Snapshot& snapshot_by_id(std::span<const Snapshot> snapshots, std::string_view prefix) {
    std::string wanted(prefix);
    for (char& c : wanted) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::vector<const Snapshot*> found;
    for (const Snapshot& snapshot : snapshots) {
        if (snapshot.id.hex().starts_with(wanted)) found.push_back(&snapshot);
    }
    if (found.empty() || !is_hex(wanted))
        throw Error{Code::not_found, "there is no snapshot {}", prefix}.hint("`holdfast snapshots` lists them.");
    if (found.size() == 1) return *found.front();
    std::vector<std::string> lines;
    for (const Snapshot* each : found) lines.push_back(line_of(*each));
    throw Error{Code::usage, "{} snapshots begin with {}: {}", found.size(), prefix, list_of(lines)}.hint(
        "Give more digits of the id.");
}

Selected select_snapshot(std::span<const Snapshot> snapshots, const Wanted& wanted, Nanoseconds now) {
    const Split split = split_text(snapshots, wanted.text.empty() ? "latest" : wanted.text);
    Selected out;
    out.path = split.path;
    std::optional<std::string> source = wanted.source;
    if (split.word != "latest" && split.word != "good") {
        const bool is_name =
            std::ranges::any_of(snapshots, [&](const Snapshot& each) { return is_source(each, split.word); });
        if (!is_name) {
            const Snapshot& one = snapshot_by_id(snapshots, split.word);
            if (wanted.at) throw Error{Code::usage, "--at and the id of a snapshot do not go together"};
            if (source && !is_source(one, *source))
                throw Error{Code::not_found, "snapshot {} is of source {}, not of {}", one.id.short_hex(), one.source,
                            *source};
            out.snapshot = &one;
            return out;
        }
        if (source) throw Error{Code::usage, "the source is named twice: {} and --source {}", split.word, *source};
        source = split.word;
    }
    if (snapshots.empty())
        throw Error{Code::not_found, "the repository has no snapshots yet"}.hint("`holdfast backup` makes one.");

    std::vector<const Snapshot*> candidates;
    if (source) {
        candidates = of_source(snapshots, *source);
    } else {
        for (const Snapshot& each : snapshots) candidates.push_back(&each);
    }
    refuse_several_sources(candidates);
    if (split.word == "good") {
        const bool any_proof =
            std::ranges::any_of(candidates, [](const Snapshot* each) { return each->proof.has_value(); });
        std::erase_if(candidates, [](const Snapshot* each) { return !each->is_good(); });
        if (candidates.empty())
            throw Error{Code::not_found, "no snapshot has {}, so none is good",
                        any_proof ? "passed a proof at V3 or better without a flag" : "been proven yet"}
                .hint("`holdfast prove` makes one good; `latest` is the newest, good or not.");
    }
    out.snapshot = wanted.at ? newest_at(candidates, *wanted.at, now, out.remarks) : newest(candidates);
    if (split.word != "good") remark_unproven(*out.snapshot, candidates, out.remarks);
    return out;
}

}  // namespace holdfast::app
