#include "base/redact.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace holdfast {

namespace {

constexpr std::string_view hidden = "***";

bool names_a_secret(std::string_view name) {
    constexpr std::array<std::string_view, 10> words{"password", "passwd", "passphrase", "pwd",     "secret",
                                                     "token",    "apikey", "api-key",    "api_key", "credential"};
    std::string lower(name);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return std::ranges::any_of(words, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

// "scheme://user:secret@host": the last '@' before the path ends the secret.
std::string without_url_password(const std::string& text) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string::npos) return text;
    const std::size_t begin = scheme + 3;
    const std::size_t end = std::min(text.find_first_of("/?#", begin), text.size());
    const std::size_t at = text.substr(0, end).rfind('@');
    const std::size_t colon = text.find(':', begin);
    if (at == std::string::npos || at < begin || colon >= at) return text;
    return text.substr(0, colon + 1) + std::string(hidden) + text.substr(at);
}

}  // namespace

std::vector<std::string> redacted(std::span<const std::string> arguments) {
    std::vector<std::string> out;
    bool is_secret = false;
    for (const std::string& argument : arguments) {
        const std::size_t equals = argument.find('=');
        if (is_secret && !argument.starts_with('-')) {
            out.emplace_back(hidden);
            is_secret = false;
        } else if (equals != std::string::npos && names_a_secret(std::string_view(argument).substr(0, equals))) {
            out.push_back(argument.substr(0, equals + 1) + std::string(hidden));
            is_secret = false;
        } else {
            out.push_back(without_url_password(argument));
            is_secret = argument.starts_with('-') && equals == std::string::npos && names_a_secret(argument);
        }
    }
    return out;
}

}  // namespace holdfast
