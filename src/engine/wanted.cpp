#include "engine/wanted.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>

#include "base/error.h"
#include "engine/select.h"

namespace holdfast::engine {

const repo::Snapshot& snapshot_of(repo::Repository& repository, const repo::SnapshotId& id) {
    for (const repo::Snapshot& snapshot : repository.snapshots())
        if (snapshot.id == id) return snapshot;
    throw Error{Code::not_found, "there is no snapshot {}", id.short_hex()}.hint("`holdfast snapshots` lists them.");
}

namespace {

// A part keeps the folders that lead to it.
void walk_selected(repo::Repository& repository, const RestorePlan& plan,
                   const std::function<bool(const std::string& path)>& comes_along,
                   const std::function<bool(repo::TreeEntry&&)>& each) {
    const repo::Snapshot& snapshot = snapshot_of(repository, plan.snapshot);
    const Selection selection(plan.include, plan.exclude);
    repo::TreeReader tree(repository.keys(), repository.chunks(), snapshot.root);
    std::map<std::string, repo::TreeEntry, std::less<>> passed;  // folders that are not wanted by themselves
    bool any = false;
    bool going = true;
    tree.walk("", [&](repo::TreeEntry&& entry) {
        const std::string& path = entry.item.path;
        if (!plan.below.empty() && !is_within(path, plan.below)) return going;
        // The folder itself is what the target becomes, so it comes whatever is included.
        if (path == plan.below) {
            any = plan.include.empty() || entry.item.kind != ItemKind::folder;
            return going = each(std::move(entry));
        }
        const bool is_wanted = selection.wants(path);
        if (!is_wanted && !comes_along(path)) {
            if (entry.item.kind == ItemKind::folder && !plan.include.empty())
                passed.emplace(std::string(path), std::move(entry));
            return true;
        }
        any = any || is_wanted;
        std::vector<repo::TreeEntry> leading;
        for (std::string_view at = path; !passed.empty() && !at.empty() && at != "/";) {
            at = split_path(at).first;
            const auto folder = passed.find(at);
            if (folder != passed.end()) leading.push_back(std::move(passed.extract(folder).mapped()));
        }
        for (repo::TreeEntry& folder : leading | std::views::reverse) going = going && each(std::move(folder));
        going = going && each(std::move(entry));
        return going;
    });
    if (any || (plan.include.empty() && plan.below.empty())) return;
    throw Error{Code::not_found, "nothing in snapshot {} matches {}", snapshot.id.short_hex(),
                plan.below.empty() ? fmt::format("{}", fmt::join(plan.include, ", ")) : plan.below}
        .unharmed("nothing was written to the target")
        .hint("`holdfast ls` shows what is in it.");
}

}  // namespace

// What comes along is known once everything wanted was seen, so that nothing begins when nothing matches.
void walk_wanted(repo::Repository& repository, const RestorePlan& plan,
                 const std::function<bool(repo::TreeEntry&&)>& each) {
    if (!plan.along || plan.include.empty())
        return walk_selected(
            repository, plan, [](const std::string&) { return false; }, each);
    std::set<std::string, std::less<>> tops;
    walk_selected(
        repository, plan, [](const std::string&) { return false; },
        [&](repo::TreeEntry&& entry) {
            tops.insert(entry.item.path.substr(0, entry.item.path.find('/', 1)));
            return true;
        });
    walk_selected(
        repository, plan,
        [&](const std::string& path) {
            return std::ranges::any_of(tops, [&](const std::string& top) { return plan.along(path, top); });
        },
        each);
}

}  // namespace holdfast::engine
