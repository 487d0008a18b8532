// policy/lint_texts.h: commands and queries of a configuration that do not do what they seem to. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::policy {

bool holds_secret(std::span<const std::string> words);
// The word that makes the output compressed: "gzip", "-Fc"; empty: none does.
std::string packing_word(std::span<const std::string> words);

struct Misleading {
    std::string_view pattern;
    std::string_view what;  // goes on after the pattern
    std::string_view why;
    std::string_view fix;
};
std::optional<Misleading> misleading(std::span<const std::string> words);
std::optional<Misleading> misleading_query(const std::string& query);

}  // namespace holdfast::policy
