#include "engine/verify.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "engine/verify_content.h"
#include "engine/wanted.h"
#include "source/inspect.h"

namespace holdfast::engine {

namespace {

// What the restore said that it could not bring back, and of which items. Trouble that many share is one finding with their
// number and the path of the first: so many differences are excused, and no more.
class Announced {
public:
    explicit Announced(const std::vector<Finding>& findings) {
        for (const Finding& finding : findings)
            for (const Aspect aspect : aspects_of(finding.text)) {
                Excuse& excuse = excuses_[aspect];
                if (finding.items == 1)
                    excuse.paths.insert(finding.path);
                else
                    excuse.items_left += finding.items;
            }
    }

    bool has(const ItemDifference& difference) {
        if (difference.aspect == Aspect::unreadable) return true;
        const auto at = excuses_.find(difference.aspect);
        if (at == excuses_.end()) return false;
        Excuse& excuse = at->second;
        const bool is_named = difference.aspect == Aspect::missing ? lies_within(difference.path, excuse.paths)
                                                                   : excuse.paths.contains(difference.path);
        // Each attribute has its finding, of all else an item has one.
        if (is_named || (difference.aspect != Aspect::attributes && excuse.last == difference.path)) return true;
        if (excuse.items_left == 0) return false;
        --excuse.items_left;
        excuse.last = difference.path;
        return true;
    }

private:
    using Paths = std::set<std::string, std::less<>>;
    struct Excuse {
        Paths paths;
        std::uint64_t items_left = 0;
        std::string last;
    };

    static std::vector<Aspect> aspects_of(std::string_view text) {
        if (text.starts_with("owner cannot be set")) return {Aspect::owner, Aspect::mode};
        if (text.starts_with("mode cannot be set")) return {Aspect::mode};
        if (text.starts_with("times cannot be set")) return {Aspect::time};
        if (text.starts_with("attribute ")) return {Aspect::attributes};
        return {Aspect::missing, Aspect::kind, Aspect::link};
    }
    // What is in a folder that could not be made is missing with it.
    static bool lies_within(std::string_view path, const Paths& places) {
        for (; !path.empty(); path = split_path(path).first)
            if (places.contains(path)) return true;
        return false;
    }

    std::map<Aspect, Excuse> excuses_;
};

class Report {
public:
    explicit Report(const VerifyTarget& target) : announced_(target.findings) {}

    void add(ItemDifference difference) {
        if (announced_.has(difference)) {
            ++excused_[difference.aspect];
            return;
        }
        ++differing_;
        const bool is_content = difference.aspect == Aspect::content || difference.aspect == Aspect::size;
        ++(difference.aspect == Aspect::missing ? missing_ : is_content ? content_ : metadata_);
        if (failures_.size() >= Verification::differences_max) return;
        failures_.push_back({fmt::format("{} {}", printable(difference.path), name_of(difference.aspect)),
                             CheckLine::Result::fail, std::move(difference.expected), std::move(difference.found)});
    }

    void finish(Verification& out) {
        using enum CheckLine::Result;
        const auto line = [&](std::string name, std::uint64_t wrong, std::uint64_t all, std::string_view what) {
            out.checks.push_back({std::move(name), wrong == 0 ? pass : fail, fmt::format("{} {}", all, what),
                                  fmt::format("{} {}", all - std::min(wrong, all), what)});
        };
        line("present", missing_, out.items, "items");
        if (content_ == 0)
            out.checks.push_back(
                {"content", pass, fmt::format("{} bytes", out.bytes), fmt::format("{} bytes", out.bytes)});
        else
            out.checks.push_back({"content", fail, "equal", fmt::format("{} files differ", content_)});
        line("metadata", metadata_, out.items, "items");
        for (const auto& [aspect, count] : excused_)
            out.checks.push_back({std::string(name_of(aspect)), not_tested, "as captured",
                                  fmt::format("{} items, which could not be restored so here", count)});
        out.checks.insert(out.checks.end(), std::make_move_iterator(failures_.begin()),
                          std::make_move_iterator(failures_.end()));
        out.unlisted = differing_ - std::min<std::uint64_t>(differing_, Verification::differences_max);
    }

private:
    Announced announced_;
    std::map<Aspect, std::uint64_t> excused_;
    std::vector<CheckLine> failures_;
    std::uint64_t differing_ = 0, missing_ = 0, content_ = 0, metadata_ = 0;
};

}  // namespace

CheckLine::Result result_of(const std::vector<CheckLine>& checks) {
    using enum CheckLine::Result;
    const auto has = [&](CheckLine::Result result) {
        return std::ranges::find(checks, result, &CheckLine::result) != checks.end();
    };
    if (has(fail)) return fail;
    return has(not_tested) || checks.empty() ? not_tested : pass;
}

Verification verify(repo::Repository& repository, const RestorePlan& plan, const VerifyTarget& target,
                    Progress& progress) {
    const Note note{"comparing {} with the snapshot", target.folder};
    World& world = repository.world();
    const Nanoseconds began = world.clock.steady();
    Verification out;
    Report report(target);
    std::unordered_set<std::string> damaged;
    std::unordered_set<std::uint64_t> damaged_links;
    for (const Finding& each : target.damaged) damaged.insert(each.path);
    Inspector inspector(target.folder, target.strip);
    ContentVerifier contents(repository, progress);
    walk_wanted(repository, plan, [&](repo::TreeEntry&& entry) {
        world.stop.check();
        if (damaged.contains(entry.item.path)) damaged_links.insert(entry.item.hard_link);
        const bool is_name_of_damaged = entry.item.hard_link != 0 && damaged_links.contains(entry.item.hard_link);
        if (is_name_of_damaged || damaged.contains(entry.item.path)) return true;
        Inspector::Look look = inspector.look(entry.item);
        if (!look.concerned) return true;
        ++out.items;
        ++progress.items;
        for (ItemDifference& each : look.differences) report.add(std::move(each));
        if (look.file) contents.add(entry, std::move(look.file));
        return true;
    });
    for (ContentVerifier::Different& each : contents.finish())
        report.add({std::move(each.path), Aspect::content, "as captured", std::move(each.text)});
    out.bytes = contents.bytes();
    report.finish(out);
    out.seconds = static_cast<double>(world.clock.steady() - began) / one_second;
    return out;
}

}  // namespace holdfast::engine
