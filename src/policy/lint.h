// policy/lint.h: what a well-formed configuration promises and will not keep. Pure: no clock, no store, no server.
//
// Shape    findings are data; each has the name of its rule, the place, what is so, why it matters, what to do
// Units    nanoseconds
// Source   doc/guide/lint.md
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/job.h"
#include "policy/recovery_time.h"

namespace holdfast::policy {

enum class Severity : std::uint8_t { error, warning, note };  // note: what cannot be judged
std::string_view name_of(Severity severity);

struct LintFinding {
    Severity severity = Severity::warning;
    std::string_view rule;  // "rpo-unattainable"
    std::string where;      // "holdfast.yaml:12:3"
    std::string what;
    std::string why;
    std::string fix;
};

struct LintRepository {
    std::string name;
    std::string where;
    std::string site;
    std::string medium;
    bool offsite = false;
    std::string replica_of;
};
struct LintSource {
    std::string name;
    std::string where;
    bool follow = false;
    std::optional<Nanoseconds> window{};
    std::optional<Nanoseconds> rpo{};
    // Of a server that was asked.
    std::vector<std::string> databases_left_out;
    std::optional<Nanoseconds> rto{};
    Criticality criticality = Criticality::normal;
    bool canary = false;
    std::optional<RecoveryTime> recovery{};     // as the ledger has measured it
    std::string recovery_unknown_because = {};  // where it has not
};
// A command, query or text that the configuration holds, word by word.
struct LintText {
    std::string where;
    std::string of;  // "source `orders`"
    std::vector<std::string> words;
    enum class Use : std::uint8_t { command, captured, query, text };  // captured: what it prints is backed up
    Use use = Use::command;
};

struct LintInput {
    std::vector<LintRepository> repositories;
    std::vector<LintSource> sources;
    std::vector<Job> jobs;
    std::vector<LintText> texts;
    std::string main_repository;  // of jobs that name none; empty: it cannot be told
    Nanoseconds now = 0;          // schedules are looked at from here on
};

// Errors first, then warnings, then notes; each in the order of the file.
std::vector<LintFinding> lint(const LintInput& input);

struct LintRule {
    std::string_view name;
    Severity severity;
};
std::span<const LintRule> lint_rules();

}  // namespace holdfast::policy
