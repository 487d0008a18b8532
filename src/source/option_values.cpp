#include "source/option_values.h"

#include "base/error.h"

namespace holdfast {

std::string option_text(const SourceOptions& options, std::string_view name) {
    const auto found = options.find(name);
    return found == options.end() || found->second.empty() ? std::string() : found->second.front();
}

std::vector<std::string> option_list(const SourceOptions& options, std::string_view name) {
    const auto found = options.find(name);
    return found == options.end() ? std::vector<std::string>{} : found->second;
}

bool is_unresolved(std::string_view value) {
    return value.starts_with("env:") || value.starts_with("file:") || value.starts_with("exec:");
}

Present present_of(const SourceOptions& options) {
    const std::string existing = option_text(options, "existing");
    if (existing.empty() || existing == "fail") return Present::fail;
    if (existing == "drop") return Present::drop;
    if (existing == "missing") return Present::missing;
    if (existing == "replace") return Present::replace;
    throw Error{Code::usage, "--existing is fail, drop, missing or replace, not `{}`", existing};
}

}  // namespace holdfast
