#include "app/job_steps.h"

#include "app/dated_dumps.h"
#include "app/registry.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

std::string repository_of(const policy::Job& job, const Config& config) {
    if (!job.repository.empty()) return job.repository;
    const RepositoryConfig* const main = config.main_repository();
    return main == nullptr ? "" : main->name;
}

void limit(JobStep& step, const policy::Limits& limits) {
    if (const auto& rate = limits.upload_bytes_per_second_max)
        step.words.insert(step.words.end(), {"--limit-upload", std::to_string(*rate)});
}

struct StepMaker {
    const policy::Job& job;
    const Config& config;
    Nanoseconds now;

    JobStep step(std::vector<std::string> words) const { return {repository_of(job, config), std::move(words)}; }

    std::vector<JobStep> operator()(const policy::BackupTask&) const {
        std::vector<std::string> words{"backup"};
        words.insert(words.end(), job.sources.begin(), job.sources.end());
        if (job.sources.empty()) words.emplace_back("--all");
        words.insert(words.end(), {"--tag", fmt::format("{}={}", policy::job_tag, job.name)});
        for (const auto& [key, value] : job.tags) words.insert(words.end(), {"--tag", key + "=" + value});
        return {step(std::move(words))};
    }

    // What is there of an earlier time makes way: nothing else is wanted of a rehearsal.
    std::vector<JobStep> restores_to(const std::string& environment) const {
        std::vector<std::string> sources = job.sources;
        if (sources.empty())
            for (const auto& [source, target] : config.environment(environment)->targets) sources.push_back(source);
        std::vector<JobStep> out;
        for (const std::string& source : sources) {
            std::vector<std::string> words{"restore", "latest", "--source", source, "--to", environment};
            const SourceConfig* const configured = config.source(source);
            const SourceType* const type = configured == nullptr ? nullptr : source_type(configured->kind);
            if (type != nullptr && type->measure != nullptr)
                words.insert(words.end(), {"--existing", "drop"});
            else
                words.emplace_back("--in-place");
            out.push_back(step(std::move(words)));
        }
        return out;
    }

    std::vector<JobStep> operator()(const policy::ProveTask& task) const {
        if (!task.to.empty()) return restores_to(task.to);
        std::vector<std::string> sources = job.sources;
        const bool random = task.pick == policy::ProveTask::Pick::random;
        if (sources.empty() && random) sources.emplace_back("");
        if (sources.empty())
            for (const SourceConfig& each : config.sources) sources.push_back(each.name);
        std::vector<JobStep> out;
        for (const std::string& source : sources) {
            std::vector<std::string> words{"prove", "--level", fmt::format("V{}", task.level)};
            if (random) words.emplace_back("--random");
            if (!source.empty()) words.insert(words.end(), {"--source", source});
            out.push_back(step(std::move(words)));
        }
        return out;
    }

    std::vector<JobStep> operator()(const policy::ExportTask& task) const {
        std::vector<JobStep> out;
        for (const std::string& format : task.as) {
            const std::string_view plain = policy::plain_format(format);
            std::vector<std::string> words{"export", "latest",           "--source", task.source,
                                           "--as",   std::string(plain), "--to",     dump_path(task, format, now)};
            if (plain != format) words.emplace_back("--gzip");
            out.push_back(step(std::move(words)));
        }
        return out;
    }

    std::vector<JobStep> operator()(const policy::ForgetTask&) const {
        std::vector<JobStep> out;
        if (job.sources.empty()) return {step({"forget"})};
        for (const std::string& source : job.sources) out.push_back(step({"forget", "--source", source}));
        return out;
    }
    std::vector<JobStep> operator()(const policy::PruneTask&) const { return {step({"prune"})}; }
    std::vector<JobStep> operator()(const policy::CheckTask& task) const {
        std::vector<std::string> words{"check"};
        if (task.share)
            words.push_back(fmt::format("--read-data={}%", *task.share * 100));
        else if (task.bytes_max)
            words.push_back(fmt::format("--read-data={}", *task.bytes_max));
        else if (task.read_data)
            words.emplace_back("--read-data");
        return {step(std::move(words))};
    }
};

}  // namespace

std::vector<JobStep> steps_of(const policy::Job& job, const Config& config, Nanoseconds now) {
    std::vector<JobStep> out = std::visit(StepMaker{job, config, now}, job.task);
    for (JobStep& step : out) limit(step, job.limits);
    return out;
}

std::vector<JobStep> copies_of(const policy::Job& job, const Config& config) {
    std::vector<JobStep> out;
    for (const std::string& copy : job.copies) {
        JobStep step{repository_of(job, config),
                     {"copy", "--tag", fmt::format("{}={}", policy::job_tag, job.name), "--to", copy, "--verify"}};
        limit(step, job.limits);
        out.push_back(std::move(step));
    }
    return out;
}

std::string text_of(const JobStep& step) {
    return fmt::format("holdfast {}{}", step.repository.empty() ? "" : "-r " + step.repository + " ",
                       join(step.words, " "));
}

}  // namespace holdfast::app
