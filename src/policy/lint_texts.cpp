#include "policy/lint_texts.h"

#include <algorithm>
#include <array>
#include <regex>

#include "base/redact.h"
#include "base/text.h"

namespace holdfast::policy {

namespace {

struct Pattern {
    const char* expression;  // found in the words, joined by blanks; upper and lower case alike
    Misleading advice;
};

constexpr std::array<Pattern, 4> patterns{{
    {R"(\$\(date|`date)",
     {"$(date …)", "is not expanded", "Nobody starts a shell for it, so all runs have the same name.",
      "Write `{date}` and `{time}` in the `to` of an export; snapshots have their time anyway."}},
    {R"(vacuum\s+full)",
     {"VACUUM FULL", "rewrites every table", "On a damaged database it can destroy what could still be read.",
      "Checks of restored data read only: `prove` looks through checksums and compares every row count."}},
    {R"(redis-cli\b.*--rdb)",
     {"redis-cli --rdb", "downloads a dump, it restores none", "The server's data stays as it is.",
      "`holdfast restore --to redis://…` restores into a server."}},
    {R"(\bls\b.*\|\s*(tail|head)\b)",
     {"ls | tail", "takes the newest backup", "The newest need not be one that can be restored.",
      "`holdfast restore good` takes the newest that passed a proof."}},
}};

constexpr Misleading writes{"a query that writes", "changes what it should check",
                            "A check that changes data proves nothing.",
                            "Write a query that reads: `select count(*) from users`."};

bool finds(const std::string& text, const char* expression, std::regex::flag_type more = std::regex::icase) {
    return std::regex_search(text, std::regex(expression, std::regex::ECMAScript | more));
}

// "Authorization: Bearer abc", "X-Api-Key: abc" and "?token=abc"; what a variable holds does not stand there.
constexpr std::array<const char*, 3> secrets_within{
    R"(authorization:\s*(bearer|basic|token)\s+[^\s$'"])",
    R"((api-key|auth-token|private-token|access-token):\s*[^\s$'"])",
    R"([?&]([a-z_-]*(token|secret|passw|api_?key|signature)[a-z_-]*|key|sig)=[^&\s$'"])",
};

// Short options of programs, where -p and -P are not alike.
constexpr std::array<const char*, 4> secrets_of_programs{
    R"(\b(mongo\w*|sshpass)\b.*\s-p\s*['"]?[^\s$'"=])",
    R"(\b(mysql\w*|mariadb\S*)\b.*\s-p['"]?[^\s$'"=])",
    R"(\bredis-cli\b.*\s-a\s+['"]?[^\s$'"])",
    R"(\b(curl|wget)\b.*\s(-u|--user)[\s=]*['"]?[^\s$'":]+:['"]?[^\s$'"])",
};

bool is_packer(std::string_view word) {
    constexpr std::array<std::string_view, 12> words{"gzip",   "pigz", "bzip2", "xz",  "zstd", "-Fc",
                                                     "--gzip", "-czf", "-cz",   "czf", "zip",  "--format=custom"};
    return std::ranges::find(words, word) != words.end();
}

}  // namespace

bool holds_secret(std::span<const std::string> words) {
    // A line for the shell is one word.
    std::vector<std::string> all;
    for (const std::string& word : words)
        for (std::string& each : split(word, ' ')) all.push_back(std::move(each));
    const std::vector<std::string> shown = redacted(all);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i] == shown[i]) continue;
        // "$NAME" and a path are where it comes from, not what it is.
        const std::string value = all[i].substr(all[i].find('=') == std::string::npos ? 0 : all[i].find('=') + 1);
        if (value.find('$') == std::string::npos && !value.starts_with('/')) return true;
    }
    const std::string line = join(all, " ");
    return std::ranges::any_of(secrets_within, [&](const char* each) { return finds(line, each); }) ||
           std::ranges::any_of(secrets_of_programs, [&](const char* each) { return finds(line, each, {}); });
}

std::string packing_word(std::span<const std::string> words) {
    for (const std::string& word : words)
        for (const std::string& each : split(word, ' '))
            if (is_packer(each.substr(each.rfind('/') + 1))) return each;
    return "";
}

std::optional<Misleading> misleading(std::span<const std::string> words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    for (const Pattern& each : patterns)
        if (finds(text, each.expression)) return each.advice;
    return std::nullopt;
}

std::optional<Misleading> misleading_query(const std::string& query) {
    const std::vector<std::string> words{query};
    if (const auto found = misleading(words)) return found;
    if (finds(query, R"(^\s*(insert|update|delete|drop|truncate|alter|create)\b)")) return writes;
    return std::nullopt;
}

}  // namespace holdfast::policy
