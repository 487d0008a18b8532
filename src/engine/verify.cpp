#include "engine/verify.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "engine/verify_content.h"
#include "engine/wanted.h"
#include "source/inspect.h"

namespace holdfast::engine {

namespace {

// Which aspects a restore said it could not bring back, by the words of its findings.
bool is_announced(Aspect aspect, const std::vector<Finding>& findings) {
    const auto says = [&](std::string_view begin) {
        return std::ranges::any_of(findings, [&](const Finding& each) { return each.text.starts_with(begin); });
    };
    switch (aspect) {
        case Aspect::owner:
            return says("owner cannot be set");
        case Aspect::mode:
            return says("mode cannot be set") || says("owner cannot be set");
        case Aspect::time:
            return says("times cannot be set");
        case Aspect::attributes:
            return says("attribute ");
        case Aspect::missing:
        case Aspect::kind:
        case Aspect::link:
            return std::ranges::any_of(
                findings, [](const Finding& each) { return each.text.find(" cannot be set") == std::string::npos; });
        case Aspect::unreadable:
            return true;
        case Aspect::size:
        case Aspect::content:
            return false;
    }
    return false;
}

class Report {
public:
    explicit Report(const VerifyTarget& target) : target_(target) {}

    void add(ItemDifference difference) {
        if (is_announced(difference.aspect, target_.findings)) {
            ++announced_[difference.aspect];
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
        for (const auto& [aspect, count] : announced_)
            out.checks.push_back({std::string(name_of(aspect)), not_tested, "as captured",
                                  fmt::format("{} items, which could not be restored so here", count)});
        out.checks.insert(out.checks.end(), std::make_move_iterator(failures_.begin()),
                          std::make_move_iterator(failures_.end()));
        out.unlisted = differing_ - std::min<std::uint64_t>(differing_, Verification::differences_max);
    }

private:
    const VerifyTarget& target_;
    std::map<Aspect, std::uint64_t> announced_;
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
    for (const Finding& each : target.damaged) damaged.insert(each.path);
    Inspector inspector(target.folder, target.strip);
    ContentVerifier contents(repository, progress);
    walk_wanted(repository, plan, [&](repo::TreeEntry&& entry) {
        world.stop.check();
        if (damaged.contains(entry.item.path)) return true;
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
