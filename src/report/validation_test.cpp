#include "report/validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr Nanoseconds day = 86'400 * one_second;
constexpr Nanoseconds now = 100 * day;

ledger::Proof proof(const std::string& result, int level, Nanoseconds age) {
    ledger::Proof out;
    out.ended = now - age;
    out.outcome.result = result;
    out.outcome.proof_level = level;
    return out;
}

ProvenSource proven(const std::string& name, const std::string& result, int level, Nanoseconds age) {
    return {name, "PostgreSQL", {proof(result, level, age)}};
}

ValidationLine judged(const std::vector<ProvenSource>& sources) { return validate(sources, {}, now, 8 * day).front(); }

TEST(Validation, PassNeedsARecentProofOfEverySource) {
    EXPECT_EQ(judged({proven("a", "pass", 4, day), proven("b", "pass", 3, day)}).verdict, Verdict::pass);
    EXPECT_EQ(judged({proven("a", "pass", 4, day), {"b", "PostgreSQL", {}}}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "pass", 4, 9 * day)}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "pass", 2, day)}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "not_tested", 4, day)}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "fail", 4, day), {"b", "PostgreSQL", {}}}).verdict, Verdict::fail);
    EXPECT_EQ(judged({{"b", "PostgreSQL", {}}, proven("a", "fail", 4, 50 * day)}).verdict, Verdict::fail);
    EXPECT_THAT(judged({proven("a", "pass", 4, 9 * day)}).reasons, ElementsAre(HasSubstr("a: last proven 9 d")));
}

TEST(Validation, ALaterProofThatSaysLessTakesNothing) {
    const auto verdict = [](std::vector<ledger::Proof> newest_first) {
        return judged({{"a", "PostgreSQL", std::move(newest_first)}}).verdict;
    };
    const auto full = proof("pass", 4, 3 * day);
    EXPECT_EQ(verdict({proof("pass", 1, day), full}), Verdict::pass);
    EXPECT_EQ(verdict({proof("not_tested", 4, day), full}), Verdict::pass);
    EXPECT_EQ(verdict({proof("fail", 1, day), full}), Verdict::fail);
    EXPECT_EQ(verdict({full, proof("fail", 1, 4 * day)}), Verdict::pass);
    EXPECT_EQ(verdict({proof("pass", 1, day), proof("fail", 4, 2 * day), full}), Verdict::not_tested);
    EXPECT_EQ(verdict({proof("pass", 1, day), proof("pass", 4, 9 * day)}), Verdict::not_tested);
    EXPECT_EQ(verdict({proof("pass", 3, day), proof("pass", 4, 9 * day)}), Verdict::pass);
}

TEST(Validation, APassMayHaveARemark) {
    ProvenSource remarked = proven("a", "pass", 4, day);
    remarked.proofs[0].outcome.error = "not one instant";
    const ValidationLine line = judged({remarked, proven("b", "pass", 4, day)});
    EXPECT_EQ(line.verdict, Verdict::pass);
    EXPECT_THAT(line.remarks, ElementsAre("a: not one instant"));
    EXPECT_THAT(line.reasons, IsEmpty());
    EXPECT_THAT(judged({proven("b", "pass", 4, day)}).remarks, IsEmpty());
}

TEST(Validation, WhatTakesLongerThanItsObjectiveFails) {
    ProvenSource source = proven("a", "pass", 4, day);
    source.rto = 60 * one_second;
    source.recovery = policy::RecoveryTime{3, 10, 59};
    EXPECT_EQ(judged({source}).verdict, Verdict::pass);
    source.recovery->worst = 61;
    EXPECT_EQ(judged({source}).verdict, Verdict::fail);
    EXPECT_THAT(judged({source}).reasons, ElementsAre("a: took 1 min 1 s to come back, 1 min is its objective"));
}

TEST(Validation, AComponentIsAsCriticalAsItsMostCriticalSource) {
    using enum policy::Criticality;
    std::vector<ProvenSource> sources{proven("a", "pass", 4, day), proven("b", "pass", 4, day)};
    EXPECT_EQ(judged(sources).criticality, normal);
    sources[0].criticality = low;
    EXPECT_EQ(judged(sources).criticality, normal);
    sources[1].criticality = critical;
    EXPECT_EQ(judged(sources).criticality, critical);
    sources[1].criticality = low;
    EXPECT_EQ(judged(sources).criticality, low);
}

TEST(Validation, JobsPassWhenEachWentWell) {
    const auto verdict = [](const std::vector<JobHealth>& jobs) { return validate({}, jobs, now, day).back().verdict; };
    using enum ledger::RunState;
    EXPECT_EQ(verdict({{"a", done, false}}), Verdict::pass);
    EXPECT_EQ(verdict({{"a", done, false}, {"b", {}, false}}), Verdict::not_tested);
    EXPECT_EQ(verdict({{"a", done, true}}), Verdict::fail);
    EXPECT_EQ(verdict({{"a", partial, false}}), Verdict::fail);
    EXPECT_EQ(verdict({{.name = "a", .last = partial, .is_good = true}}), Verdict::pass);
    EXPECT_EQ(verdict({{.name = "a", .last = failed, .is_good = true}}), Verdict::fail);
    EXPECT_EQ(verdict({{"b", {}, false}, {"a", interrupted, false}}), Verdict::fail);
    EXPECT_EQ(verdict({}), Verdict::not_tested);
}

TEST(Document, FormsOfHostileText) {
    const Document document{"Report", {"Date: x"}, {{"Part", {"<b>|`*"}, {{"A", "B"}, {{"1|2", "<script>"}}}}}};
    EXPECT_THAT(html_of(document), HasSubstr("&lt;script&gt;"));
    EXPECT_THAT(html_of(document), Not(HasSubstr("<script>")));
    EXPECT_THAT(markdown_of(document), HasSubstr("| 1\\|2 | \\<script> |"));
    EXPECT_THAT(text_of(document), HasSubstr("Report\n======\nDate: x\n\nPart:\n- <b>|`*\n"));
}

}  // namespace
}  // namespace holdfast::report
