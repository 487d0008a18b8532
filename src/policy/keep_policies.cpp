#include "policy/keep_policies.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/part_name.h"

namespace holdfast::policy {

namespace {

bool speaks_of(const Job& job, const Candidate& candidate) {
    if (job.sources.empty()) return true;
    return std::ranges::any_of(job.sources,
                               [&](const std::string& name) { return is_source_of(candidate.source, name); });
}

// Its tag names the job, and the job its source: a tag by itself may be of another machine's job of that name. Masters of a
// cluster are named after it; only what the job's tag says as well makes them so, as "db.1" may be a source by itself.
bool made(const Job& job, const Candidate& candidate) {
    const auto tagged = candidate.tags.find(std::string(job_tag));
    if (tagged == candidate.tags.end() || tagged->second != job.name) return false;
    const std::string_view source = candidate.source;
    const std::string whole(whole_of(source.substr(0, source.rfind('@'))));
    return speaks_of(job, candidate) || speaks_of(job, {.source = whole});
}

std::string name_of(const Job& job) {
    return job.retention->name.empty() ? fmt::format("job {}", job.name) : job.retention->name;
}

}  // namespace

bool is_source_of(std::string_view snapshot_source, std::string_view name) {
    return snapshot_source == name || snapshot_source.substr(0, snapshot_source.rfind('@')) == name;
}

KeepPolicies::KeepPolicies(std::span<const Job> jobs, std::map<std::string, Retention> named)
    : jobs_(jobs.begin(), jobs.end()), named_(std::move(named)) {
    for (const RetentionClass& each : retention_classes())
        named_.emplace(std::string(each.name), *retention_class(each.name));
}

bool KeepPolicies::empty() const {
    return std::ranges::none_of(jobs_, [](const Job& job) { return job.retention.has_value(); });
}

std::optional<Nanoseconds> KeepPolicies::window_of(const std::string& source) const {
    std::optional<Nanoseconds> out;
    for (const Job& job : jobs_)
        if (job.retention && job.retention->rules.window && speaks_of(job, {.source = source}))
            out = std::max(out.value_or(0), *job.retention->rules.window);
    return out;
}

// The job that made it speaks of it; of a snapshot that no configured job made, all jobs of its source do. A forget job
// with a retention of its own speaks of whatever its sources have.
std::vector<KeepPolicies::Policy> KeepPolicies::policies_for(const Candidate& candidate,
                                                             std::string& stays_because) const {
    std::vector<Policy> out;
    const auto made_by = std::ranges::find_if(jobs_, [&](const Job& job) { return made(job, candidate); });
    for (auto job = jobs_.begin(); job != jobs_.end(); ++job) {
        const bool forgets = std::holds_alternative<ForgetTask>(job->task);
        const bool backs_up = std::holds_alternative<BackupTask>(job->task) &&
                              (made_by == jobs_.end() ? speaks_of(*job, candidate) : job == made_by);
        if (backs_up && !job->retention) stays_because = fmt::format("job {} has no retention", job->name);
        if (job->retention && (backs_up || (forgets && speaks_of(*job, candidate))))
            out.push_back({name_of(*job), job->retention->rules});
    }
    const auto by_tag = candidate.tags.find(std::string(retention_tag));
    if (by_tag != candidate.tags.end()) {
        const auto rules = named_.find(by_tag->second);
        if (rules == named_.end())
            stays_because = fmt::format("its tag retention={} names no retention", by_tag->second);
        else
            out.push_back({fmt::format("tag {}", by_tag->second), rules->second});
    }
    if (out.empty() && stays_because.empty()) stays_because = "no retention speaks of it";
    return out;
}

std::vector<KeepPolicies::Decision> KeepPolicies::decide(std::span<const Candidate> candidates) const {
    struct Subject {
        Retention rules;
        std::vector<std::size_t> members;
    };
    std::vector<Decision> out(candidates.size());
    std::map<std::string, Subject> subjects;  // by the name of the policy: its rules count what it speaks of
    std::vector<std::vector<std::string>> names(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        std::string stays_because;
        for (const Policy& policy : policies_for(candidates[i], stays_because)) {
            Subject& subject = subjects[policy.name];
            subject.rules = policy.rules;
            if (!subject.members.empty() && subject.members.back() == i) continue;
            subject.members.push_back(i);
            names[i].push_back(policy.name);
        }
        if (!stays_because.empty()) out[i].reasons.push_back(stays_because);
    }
    for (const auto& [name, subject] : subjects) {
        std::vector<Candidate> members;
        for (const std::size_t i : subject.members) members.push_back(candidates[i]);
        const auto reasons = keep_reasons(members, subject.rules);
        for (std::size_t j = 0; j < reasons.size(); ++j)
            for (const std::string& reason : reasons[j])
                out[subject.members[j]].reasons.push_back(fmt::format("{}: {}", name, reason));
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        out[i].keep = !out[i].reasons.empty();
        if (out[i].keep) continue;
        for (const std::string& name : names[i]) out[i].reasons.push_back(fmt::format("{} does not keep it", name));
    }
    return out;
}

}  // namespace holdfast::policy
