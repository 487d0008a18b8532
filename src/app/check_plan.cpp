#include "app/check_plan.h"

#include "base/error.h"
#include "policy/job.h"

namespace holdfast::app {

void add_read_data_option(Options& options, std::optional<std::string>& read_data) {
    options.optional_value(read_data, "--read-data", "10%|5G", "also read packs: all, a share, or about so many bytes");
}

engine::CheckPlan check_plan(const std::optional<std::string>& read_data) {
    engine::CheckPlan plan;
    if (!read_data) return plan;
    plan.read_data = true;
    if (read_data->empty()) return plan;
    const auto task = policy::parse_read_data(*read_data);
    if (!task)
        throw Error{Code::usage, "--read-data needs a share such as `10%` or a size such as `5G`, not `{}`",
                    *read_data};
    plan.share = task->share;
    plan.bytes_max = task->bytes_max;
    return plan;
}

}  // namespace holdfast::app
