// report/validation.h: the Backup Validation Report: a verdict on every component and on the jobs. Pure.
//
// Units    nanoseconds since 1970 UTC
// I1  PASS needs a proof of every source of the component that passed at V3 or better and is not too old; what could not
//     be tested, was tested too long ago or too little is NOT TESTED
// I2  a later proof that says less, as it went less far or could not be made, takes nothing from an earlier one
// I3  a source that took longer to come back than its objective allows is FAIL
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ledger/run.h"
#include "policy/criticality.h"
#include "policy/recovery_time.h"
#include "report/document.h"

namespace holdfast::report {

enum class Verdict : std::uint8_t { pass, fail, not_tested };
std::string_view text_of(Verdict verdict);  // "PASS", "FAIL", "NOT TESTED"

struct ProvenSource {
    std::string name;
    std::string component;                // "PostgreSQL"
    std::vector<ledger::Proof> proofs;    // newest first
    std::optional<Nanoseconds> rto = {};  // it shall be back within this time
    std::optional<policy::RecoveryTime> recovery = {};
    policy::Criticality criticality = policy::Criticality::normal;
};
struct JobHealth {
    std::string name;
    std::optional<ledger::RunState> last;  // of its newest run that has ended
    bool overdue = false;
    bool is_good = false;  // also in part: what it left for the next time shows in the line of its component
};

struct ValidationLine {
    std::string name;  // "PostgreSQL Backup", "Backup Jobs"
    Verdict verdict = Verdict::not_tested;
    std::vector<std::string> reasons;                               // of what is no PASS
    std::vector<std::string> remarks = {};                          // what a PASS does not mean
    policy::Criticality criticality = policy::Criticality::normal;  // of its most critical source
};
std::vector<ValidationLine> validate(const std::vector<ProvenSource>& sources, const std::vector<JobHealth>& jobs,
                                     Nanoseconds now, Nanoseconds age_max);

// "PostgreSQL" of "postgres".
std::string component_of(std::string_view kind);

}  // namespace holdfast::report
