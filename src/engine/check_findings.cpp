#include "engine/check_findings.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::engine {

void Loss::add(std::uint64_t more, const std::string& path) {
    items += more;
    if (paths.size() < paths_max) paths.push_back(path);
}

void Loss::add(const Loss& other) {
    items += other.items;
    for (const std::string& path : other.paths)
        if (paths.size() < paths_max) paths.push_back(path);
}

void add_loss(std::vector<Loss>& losses, const Loss& loss) {
    const auto at = std::ranges::find(losses, loss.damage, &Loss::damage);
    if (at == losses.end())
        losses.push_back(loss);
    else
        at->add(loss);
}

DamageNumber CheckFindings::add(const std::string& object, std::string_view kind, const std::string& reason,
                                const std::string& harmless) {
    const std::lock_guard lock(mutex_);
    const auto [at, fresh] = number_of_.try_emplace(object, static_cast<DamageNumber>(findings_.size()));
    if (fresh) findings_.push_back({object, std::string(kind), reason, harmless, {}, 0, {}});
    return at->second;
}

void CheckFindings::costs(const Loss& loss, const repo::Snapshot& snapshot) {
    const std::lock_guard lock(mutex_);
    Finding& finding = findings_[loss.damage];
    if (finding.costs.size() < snapshots_named_max)
        finding.costs.push_back({snapshot.id.short_hex(), loss});
    else
        ++finding.further_snapshots;
}

void CheckFindings::costs_only_time(DamageNumber damage, const std::string& source) {
    const std::lock_guard lock(mutex_);
    auto& sources = findings_[damage].sources;
    if (std::ranges::find(sources, source) == sources.end()) sources.push_back(source);
}

bool CheckFindings::any() const {
    const std::lock_guard lock(mutex_);
    return !findings_.empty();
}

std::string CheckFindings::effect_of(const Finding& finding) {
    std::string out = finding.reason;
    for (const Cost& cost : finding.costs) {
        const Loss& loss = cost.loss;
        out += fmt::format("; snapshot {}: {} item{} cannot be restored: {}", cost.snapshot, human_count(loss.items),
                           loss.items == 1 ? "" : "s", fmt::join(loss.paths, ", "));
        if (loss.items > loss.paths.size()) out += ", …";
    }
    if (finding.further_snapshots > 0)
        out += fmt::format("; and {} more snapshots", human_count(finding.further_snapshots));
    for (const std::string& source : finding.sources)
        out += fmt::format("; the next backup of {} reads everything again, nothing is lost", source);
    if (finding.costs.empty() && finding.sources.empty() && !finding.harmless.empty()) out += "; " + finding.harmless;
    return out;
}

std::vector<Damage> CheckFindings::told() const {
    const std::lock_guard lock(mutex_);
    std::vector<Damage> out;
    for (const Finding& finding : findings_) out.push_back({finding.object, finding.kind, effect_of(finding)});
    return out;
}

}  // namespace holdfast::engine
