#include "source/untold_facts.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/item.h"

namespace holdfast {

namespace {

constexpr std::string_view about = "about ";
constexpr std::string_view untold_begin = "about no ";

std::string name_of_untold(std::string_view name) { return std::string(untold_begin) + std::string(name); }

using Place = std::pair<std::string_view, std::string_view>;  // item and name

// Of what is told or untold alike.
Place place_of(const Fact& fact) {
    std::string_view name = fact.name;
    if (name.starts_with(untold_begin)) name.remove_prefix(untold_begin.size());
    return {fact.item, name};
}

}  // namespace

Fact untold(const std::string& item, std::string_view name, const std::string& reason) {
    return {item, name_of_untold(name), reason};
}

std::optional<std::string> why_untold(const Facts& found, const std::string& item, std::string_view name) {
    return found.value(item, name_of_untold(name));
}

Facts completed(const Facts& captured, const Facts& restored) {
    std::map<Place, const Fact*> known;
    for (const Fact& fact : restored.list) known.emplace(place_of(fact), &fact);
    Facts out{captured.basis, {}};
    for (const Fact& fact : captured.list) {
        const auto better =
            is_about(fact) ? known.find({fact.item, std::string_view(fact.name).substr(about.size())}) : known.end();
        out.list.push_back(better == known.end() ? fact : *better->second);
    }
    out.sort();
    return out;
}

std::vector<CheckLine> lines_of_untold(const Facts& captured, const std::vector<std::string>& only) {
    std::vector<CheckLine> out;
    for (const Fact& fact : captured.list) {
        if (!fact.name.starts_with(untold_begin)) continue;
        if (!only.empty() && std::ranges::none_of(only, [&](const auto& path) { return is_within(fact.item, path); }))
            continue;
        const std::string name = fact.name.substr(untold_begin.size());
        out.push_back(
            {fact.item.empty() ? name : fact.item + " " + name, CheckLine::Result::not_tested, "", fact.value});
    }
    return out;
}

}  // namespace holdfast
