#include "policy/expect.h"

#include <array>
#include <charconv>
#include <compare>
#include <regex>

namespace holdfast::policy {

namespace {

struct Parsed {
    std::string_view sign;  // empty: the text itself
    std::string_view operand;
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n')) text.remove_suffix(1);
    return text;
}

Parsed parse(std::string_view text) {
    constexpr std::array<std::string_view, 7> signs{">=", "<=", "!=", ">", "<", "=", "~"};
    text = trimmed(text);
    for (const std::string_view sign : signs) {
        if (text.starts_with(sign)) return {sign, trimmed(text.substr(sign.size()))};
    }
    return {"", text};
}

template <class Number>
std::optional<Number> number(std::string_view text) {
    text = trimmed(text);
    if (text.starts_with('+')) text.remove_prefix(1);
    Number out{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return out;
}

// Whole numbers exactly, others as floating point, anything else as text.
std::partial_ordering compare(std::string_view a, std::string_view b) {
    const auto whole_a = number<std::int64_t>(a), whole_b = number<std::int64_t>(b);
    if (whole_a && whole_b) return *whole_a <=> *whole_b;
    const auto real_a = number<double>(a), real_b = number<double>(b);
    if (real_a && real_b) return *real_a <=> *real_b;
    return trimmed(a) <=> b;
}

bool needs_number(std::string_view sign) { return sign == ">" || sign == "<" || sign == ">=" || sign == "<="; }

}  // namespace

std::optional<std::string> problem_with_expectation(std::string_view expectation) {
    const auto [sign, operand] = parse(expectation);
    if (needs_number(sign) && !number<double>(operand)) return "it compares with what is no number";
    if (sign == "~") {
        try {
            const std::regex tried{std::string(operand)};
        } catch (const std::regex_error& error) {
            return std::string("it is no regular expression: ") + error.what();
        }
    }
    return std::nullopt;
}

bool meets(std::string_view value, std::string_view expectation) {
    const auto [sign, operand] = parse(expectation);
    if (sign == "~") return std::regex_search(std::string(value), std::regex(std::string(operand)));
    if (needs_number(sign) && !number<double>(value)) return false;
    const std::partial_ordering order = compare(value, operand);
    if (sign == ">") return order > 0;
    if (sign == ">=") return order >= 0;
    if (sign == "<") return order < 0;
    if (sign == "<=") return order <= 0;
    return (order == 0) != (sign == "!=");
}

}  // namespace holdfast::policy
