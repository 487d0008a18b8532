#include "app/check_plan.h"

#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

void add_read_data_option(Options& options, std::optional<std::string>& read_data) {
    options.optional_value(read_data, "--read-data", "10%|5G", "also read packs: all, a share, or about so many bytes");
}

engine::CheckPlan check_plan(const std::optional<std::string>& read_data) {
    engine::CheckPlan plan;
    if (!read_data) return plan;
    plan.read_data = true;
    const std::string& text = *read_data;
    if (text.empty()) return plan;
    if (text.ends_with('%')) {
        double percent = 0;
        const char* const end = text.data() + text.size() - 1;
        const auto [at, failure] = std::from_chars(text.data(), end, percent);
        if (failure == std::errc{} && at == end && percent > 0 && percent <= 100) {
            plan.share = percent / 100;
            return plan;
        }
    } else if ((plan.bytes_max = parse_size(text))) {
        return plan;
    }
    throw Error{Code::usage, "--read-data needs a share such as `10%` or a size such as `5G`, not `{}`", text};
}

}  // namespace holdfast::app
