// engine/prove.h: the verb that restores a snapshot into a sandbox and compares it with what was captured.
//
// Shape    levels, each only when the one below passed: V0 listed, V1 all bytes authenticated, V2 restored, V3 read
//          back (servers: started, and their own checker passed), V4 facts and checks equal
// Errors   what says nothing about the snapshot: no_space and denied of the sandbox, unreachable, cancelled. All else
//          is in the report
// Source   design section 6; doc/guide/proof.md
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/checks.h"
#include "engine/progress.h"
#include "repo/proof_note.h"
#include "repo/repository.h"
#include "source/source.h"

namespace holdfast::engine {

constexpr std::uint8_t proof_level_max = 4;

struct ProvePlan {
    repo::SnapshotId snapshot;
    std::uint8_t level = proof_level_max;
    std::vector<Check> checks = {};  // of the source
    SourceOptions options = {};      // of the source, where it is configured
    std::string sandbox_root = {};
    bool allow_unisolated = false;
};

struct ProofReport {
    repo::SnapshotId snapshot;
    std::string source;
    std::uint8_t level = 0;  // passed: the highest; failed: where; not tested: the highest that passed
    CheckLine::Result result = CheckLine::Result::not_tested;
    double seconds = 0;
    double restore_seconds = 0;
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;
    std::vector<CheckLine> checks;
    std::string basis;
    std::string coverage;
    std::string remark;  // what even a pass does not mean; empty: nothing to be said
    std::vector<std::string> isolation;
};

ProofReport prove(repo::Repository& repository, const ProvePlan& plan, const SourceType& type, Progress& progress);

// Signs what was found into the notes of the snapshot.
void record_proof(repo::Repository& repository, const ProofReport& report, const std::string& tool);

std::vector<repo::NoteLine> note_lines(const std::vector<CheckLine>& checks);

}  // namespace holdfast::engine
