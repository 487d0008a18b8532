#include "app/deployed.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast::app {

void write_out(Context& context, const std::vector<DeployedFile>& files, const std::string& folder,
               std::string_view separator) {
    if (folder.empty()) {
        for (const DeployedFile& file : files)
            context.out.bytes(
                as_bytes(fmt::format("{}{}", fmt::format(fmt::runtime(separator), file.name), file.text)));
        return;
    }
    std::filesystem::create_directories(folder);
    constexpr unsigned mode = 0644, executable = 0755;
    for (const DeployedFile& file : files) {
        write_file_durably(join_path(folder, file.name), as_bytes(file.text), file.executable ? executable : mode);
        context.out.say("wrote " + join_path(folder, file.name));
    }
}

std::string needed_config(Context& context) {
    const auto path = context.config_path();
    if (!path)
        throw Error{Code::usage, "`deploy` needs a configuration file"}.hint(
            "Name it with `-c FILE`; its jobs are deployed.");
    return std::filesystem::absolute(*path).lexically_normal();
}

// Whatever runs one job at a time knows no order between them.
void warn_of_jobs_without_schedule(Context& context) {
    for (const policy::Job& job : context.config().jobs)
        if (!job.schedule && !job.after.empty())
            context.out.warn(
                fmt::format("job {} runs after {}, which only `serve` does: it is left out; give it a "
                            "`schedule` of its own",
                            job.name, join(job.after, ", ")));
}

void warn_of_what_only_serve_does(Context& context, const policy::Job& job, std::vector<std::string> more) {
    if (job.allowed_hours) more.emplace_back("allowed_hours");
    if (job.limits.load_max) more.emplace_back("limits: {load}");
    if (!more.empty()) context.out.warn(fmt::format("job {}: only `serve` keeps `{}`", job.name, join(more, "`, `")));
}

Nanoseconds attempts_take_max(const policy::Job& job, Nanoseconds attempt, Nanoseconds pause) {
    return attempt * (job.retries.count + 1) + pause * job.retries.count;
}

}  // namespace holdfast::app
