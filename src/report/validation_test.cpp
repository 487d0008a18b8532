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

ProvenSource proven(const std::string& name, const std::string& result, int level, Nanoseconds age) {
    ledger::Outcome proof;
    proof.source = name;
    proof.result = result;
    proof.proof_level = level;
    return {name, "PostgreSQL", proof, now - age};
}

ValidationLine judged(const std::vector<ProvenSource>& sources) { return validate(sources, {}, now, 8 * day).front(); }

TEST(Validation, PassNeedsARecentProofOfEverySource) {
    EXPECT_EQ(judged({proven("a", "pass", 4, day), proven("b", "pass", 3, day)}).verdict, Verdict::pass);
    EXPECT_EQ(judged({proven("a", "pass", 4, day), {"b", "PostgreSQL", {}, 0}}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "pass", 4, 9 * day)}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "pass", 2, day)}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "not_tested", 4, day)}).verdict, Verdict::not_tested);
    EXPECT_EQ(judged({proven("a", "fail", 4, day), {"b", "PostgreSQL", {}, 0}}).verdict, Verdict::fail);
    EXPECT_EQ(judged({{"b", "PostgreSQL", {}, 0}, proven("a", "fail", 4, 50 * day)}).verdict, Verdict::fail);
    EXPECT_THAT(judged({proven("a", "pass", 4, 9 * day)}).reasons, ElementsAre(HasSubstr("a: last proven 9 d")));
}

TEST(Validation, JobsPassWhenEachWentWell) {
    const auto verdict = [](const std::vector<JobHealth>& jobs) { return validate({}, jobs, now, day).back().verdict; };
    using enum ledger::RunState;
    EXPECT_EQ(verdict({{"a", done, false}}), Verdict::pass);
    EXPECT_EQ(verdict({{"a", done, false}, {"b", {}, false}}), Verdict::not_tested);
    EXPECT_EQ(verdict({{"a", done, true}}), Verdict::fail);
    EXPECT_EQ(verdict({{"a", partial, false}}), Verdict::fail);
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
