#include "report/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "policy/job.h"

namespace holdfast::report {

namespace {

Verdict worse(Verdict a, Verdict b) {
    for (const Verdict each : {Verdict::fail, Verdict::not_tested})
        if (a == each || b == each) return each;
    return Verdict::pass;
}

void add(ValidationLine& line, Verdict verdict, std::string reason) {
    line.verdict = worse(line.verdict, verdict);
    if (verdict != Verdict::pass) line.reasons.push_back(std::move(reason));
}

void judge_recovery(ValidationLine& line, const ProvenSource& source) {
    if (!source.rto || !source.recovery) return;  // without a measurement there is no proof either
    const auto worst = static_cast<Nanoseconds>(source.recovery->worst * one_second);
    if (worst > *source.rto)
        add(line, Verdict::fail,
            fmt::format("{}: took {} to come back, {} is its objective", source.name, human_duration(worst),
                        human_duration(*source.rto)));
}

bool has_failed(const ledger::Outcome& proof) { return proof.result == "fail"; }
bool is_good(const ledger::Outcome& proof) { return proof.result == "pass" && proof.proof_level >= policy::good_level; }

// Of some, newest first: the newest good one since the last failure, else the newest.
const ledger::Proof& telling(const std::vector<ledger::Proof>& proofs) {
    for (const ledger::Proof& each : proofs) {
        if (has_failed(each.outcome)) break;
        if (is_good(each.outcome)) return each;
    }
    return proofs.front();
}

void judge(ValidationLine& line, const ProvenSource& source, Nanoseconds now, Nanoseconds age_max) {
    judge_recovery(line, source);
    if (source.proofs.empty()) return add(line, Verdict::not_tested, source.name + ": never proven");
    const auto& [ended, proof] = telling(source.proofs);
    if (has_failed(proof))
        return add(line, Verdict::fail,
                   fmt::format("{}: failed at V{} on {}{}{}", source.name, proof.proof_level, rfc3339_seconds(ended),
                               proof.error.empty() ? "" : ": ", proof.error));
    if (!is_good(proof))
        return add(line, Verdict::not_tested, fmt::format("{}: proven up to V{} only", source.name, proof.proof_level));
    if (now - ended > age_max)
        return add(line, Verdict::not_tested,
                   fmt::format("{}: last proven {} ago", source.name, human_duration(now - ended)));
    add(line, Verdict::pass, "");
    if (!proof.error.empty()) line.remarks.push_back(source.name + ": " + proof.error);
}

void judge(ValidationLine& line, const JobHealth& job) {
    if (!job.last) return add(line, Verdict::not_tested, job.name + ": has not run yet");
    const bool is_good = *job.last == ledger::RunState::done || (job.is_good && *job.last == ledger::RunState::partial);
    if (!is_good) return add(line, Verdict::fail, fmt::format("{}: {}", job.name, ledger::name_of(*job.last)));
    if (job.overdue) return add(line, Verdict::fail, job.name + ": overdue");
    add(line, Verdict::pass, "");
}

}  // namespace

std::string_view text_of(Verdict verdict) {
    return verdict == Verdict::pass ? "PASS" : verdict == Verdict::fail ? "FAIL" : "NOT TESTED";
}

std::vector<ValidationLine> validate(const std::vector<ProvenSource>& sources, const std::vector<JobHealth>& jobs,
                                     Nanoseconds now, Nanoseconds age_max) {
    std::vector<ValidationLine> out;
    for (const ProvenSource& source : sources) {
        const std::string name = source.component + " Backup";
        auto line = std::ranges::find(out, name, &ValidationLine::name);
        if (line == out.end()) line = out.insert(out.end(), {name, Verdict::pass, {}, {}, source.criticality});
        line->criticality = std::min(line->criticality, source.criticality);
        judge(*line, source, now, age_max);
    }
    ValidationLine line{"Backup Jobs", jobs.empty() ? Verdict::not_tested : Verdict::pass, {}, {}};
    if (jobs.empty()) line.reasons.emplace_back("the configuration has no jobs");
    for (const JobHealth& job : jobs) judge(line, job);
    out.push_back(std::move(line));
    return out;
}

std::string component_of(std::string_view kind) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> names{{{"postgres", "PostgreSQL"},
                                                                                  {"mongodb", "MongoDB"},
                                                                                  {"redis", "Redis"},
                                                                                  {"files", "File"},
                                                                                  {"command", "Configuration"},
                                                                                  {"kubernetes", "Kubernetes"}}};
    const auto* const found = std::ranges::find(names, kind, &std::pair<std::string_view, std::string_view>::first);
    return std::string(found == names.end() ? kind : found->second);
}

}  // namespace holdfast::report
