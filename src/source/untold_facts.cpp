#include "source/untold_facts.h"

#include <algorithm>

#include "base/item.h"

namespace holdfast {

namespace {

constexpr std::string_view untold_begin = "about no ";

std::string name_of_untold(std::string_view name) { return std::string(untold_begin) + std::string(name); }

}  // namespace

Fact untold(const std::string& item, std::string_view name, const std::string& reason) {
    return {item, name_of_untold(name), reason};
}

std::optional<std::string> why_untold(const Facts& found, const std::string& item, std::string_view name) {
    return found.value(item, name_of_untold(name));
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
