#include "engine/live.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "engine/verify_content.h"
#include "engine/wanted.h"
#include "source/inspect.h"
#include "source/untold_facts.h"

namespace holdfast::engine {

namespace {

bool is_content(std::string_view fact) {
    constexpr std::array<std::string_view, 7> names{"rows",       "checksum",  "documents",    "content",
                                                    "last value", "is called", "large objects"};
    return std::ranges::find(names, fact) != names.end();
}

// Hashes tell nobody anything.
bool is_telling(const Fact& fact) {
    return fact.name != "checksum" && fact.name != "content" && fact.name != "schema" && fact.name != "privileges";
}

using Values = std::map<std::string, std::string>;
std::map<std::string, Values> by_item(const Facts& facts) {
    std::map<std::string, Values> out;
    for (const Fact& fact : facts.list)
        if (!is_about(fact) && !fact.item.empty()) out[fact.item].emplace(fact.name, fact.value);
    return out;
}

std::optional<LiveDifference> compare_item(const std::string& item, const Values& captured, const Values& live,
                                           const Facts& found) {
    std::vector<std::string> texts;
    bool has_content = false, differs = false;
    Values names = captured;
    names.insert(live.begin(), live.end());
    for (const auto& [name, unused] : names) {
        const auto was = captured.find(name), is = live.find(name);
        const std::string before = was == captured.end() ? "" : was->second, now = is == live.end() ? "" : is->second;
        if (before == now || why_untold(found, item, name)) continue;
        differs = true;
        has_content = has_content || is_content(name);
        texts.push_back(is_telling({item, name, ""}) ? fmt::format("{} {}, now {}", name, before, now)
                                                     : fmt::format("{} differs", name));
    }
    if (!differs) return std::nullopt;
    return LiveDifference{item, has_content ? Change::content : Change::metadata, join(texts, "; ")};
}

// Items of a capture one after the other, in tree order.
class LiveItems {
public:
    LiveItems(Capture& capture, std::string below) : capture_(capture), below_(std::move(below)) { advance(); }
    const std::string* path() const { return is_over_ ? nullptr : &batch_.entries[at_].item.path; }
    const std::string& key() const { return key_; }
    void advance() {
        while (!is_over_) {
            if (is_begun_ && at_ + 1 < batch_.entries.size()) {
                ++at_;
            } else {
                batch_ = {};
                at_ = 0;
                is_over_ = !capture_.next(batch_);
                is_begun_ = true;
                if (is_over_ || batch_.entries.empty()) {
                    is_begun_ = false;
                    continue;
                }
            }
            key_ = tree_key(batch_.entries[at_].item.path);
            if (below_.empty() || is_within(batch_.entries[at_].item.path, below_)) return;
        }
    }

private:
    Capture& capture_;
    const std::string below_;
    Batch batch_;
    std::size_t at_ = 0;
    std::string key_;
    bool is_begun_ = false;
    bool is_over_ = false;
};

std::string text_of(const ItemDifference& difference) {
    if (difference.expected.empty() && difference.found.empty()) return std::string(name_of(difference.aspect));
    return fmt::format("{} {}, now {}", name_of(difference.aspect), printable(difference.expected),
                       printable(difference.found));
}

Change change_of(const std::vector<ItemDifference>& differences) {
    using enum Aspect;
    const auto has = [&](Aspect aspect) {
        return std::ranges::find(differences, aspect, &ItemDifference::aspect) != differences.end();
    };
    if (has(missing)) return Change::removed;
    return has(size) || has(content) || has(kind) || has(link) || has(unreadable) ? Change::content : Change::metadata;
}

}  // namespace

std::vector<LiveDifference> compare_live(const Facts& captured, const Facts& live) {
    const auto before = by_item(captured), now = by_item(live);
    std::vector<LiveDifference> out;
    for (const auto& [item, values] : before) {
        const auto at = now.find(item);
        if (at == now.end())
            out.push_back({item, Change::removed, ""});
        else if (auto difference = compare_item(item, values, at->second, live))
            out.push_back(std::move(*difference));
    }
    for (const auto& [item, values] : now)
        if (!before.contains(item)) out.push_back({item, Change::added, ""});
    std::ranges::sort(out, {}, [](const LiveDifference& each) { return tree_key(each.path); });
    return out;
}

void diff_live_files(repo::Repository& repository, const repo::Snapshot& snapshot, Source& source,
                     const std::string& below, Progress& progress,
                     const std::function<void(const LiveDifference&)>& each) {
    World& world = repository.world();
    const auto capture = source.begin({world});
    LiveItems live(*capture, below);
    Inspector inspector("/", "");
    ContentVerifier contents(repository, progress);
    const auto tell_new_before = [&](const std::string* key) {
        for (; live.path() != nullptr && (key == nullptr || live.key() < *key); live.advance())
            each({*live.path(), Change::added, ""});
    };
    progress.items_total = snapshot.items;
    walk_wanted(repository, {snapshot.id, {}, {}, below}, [&](repo::TreeEntry&& entry) {
        world.stop.check();
        ++progress.items;
        const std::string key = tree_key(entry.item.path);
        tell_new_before(&key);
        if (live.path() != nullptr && live.key() == key) live.advance();
        Inspector::Look look = inspector.look(entry.item);
        if (!look.differences.empty()) {
            std::vector<std::string> texts;
            for (const ItemDifference& difference : look.differences) texts.push_back(text_of(difference));
            const Change change = change_of(look.differences);
            each({entry.item.path, change, change == Change::removed ? "" : join(texts, "; ")});
        }
        if (look.file) contents.add(entry, std::move(look.file));
        return true;
    });
    tell_new_before(nullptr);
    for (const ContentVerifier::Different& different : contents.finish())
        each({different.path, Change::content, different.text});
}

}  // namespace holdfast::engine
