#include "repo/proof_note.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "repo/notes.h"
#include "repo/repository.h"
#include "testing/small_repository.h"

namespace holdfast::repo {
namespace {

Proof proof(std::uint8_t level, ProofResult result) { return {level, result, 1, 1}; }

std::optional<Proof> after(std::initializer_list<Proof> proofs) {
    std::optional<Proof> out;
    for (const Proof& each : proofs) add_proof(out, each);
    return out;
}

TEST(ProofNote, comes_back_as_it_was_written_and_hides_what_was_compared) {
    testing_support::SmallRepository small;
    const auto repository = small.open();
    ProofRecord record{4, ProofResult::pass, 12.345, 3.5, "holdfast 1", "same-view", "2 facts", {"pid", "network"}, {}};
    record.lines = {{"shop/orders rows", ProofResult::pass, "3", "3"}, {"secret/table", ProofResult::fail, "1", "2"}};
    const std::string text = encode(record, repository->keys(), small.sim.random);
    EXPECT_EQ(text.find("orders"), std::string::npos);
    EXPECT_EQ(text.find("same-view"), std::string::npos);
    const ProofRecord read = decode_proof(text, repository->keys());
    EXPECT_EQ(read.level, 4);
    EXPECT_EQ(read.result, ProofResult::pass);
    EXPECT_DOUBLE_EQ(read.seconds, 12.345);
    EXPECT_DOUBLE_EQ(read.restore_seconds, 3.5);
    EXPECT_EQ(read.tool, "holdfast 1");
    EXPECT_EQ(read.basis, "same-view");
    EXPECT_EQ(read.coverage, "2 facts");
    EXPECT_EQ(read.isolation, (std::vector<std::string>{"pid", "network"}));
    ASSERT_EQ(read.lines.size(), 2U);
    EXPECT_EQ(read.lines[0].name, "secret/table");  // what did not pass comes first
    for (std::size_t bytes = 0; bytes < text.size(); ++bytes)
        EXPECT_THROW(decode_proof(text.substr(0, bytes), repository->keys()), Error) << bytes;
}

TEST(ProofNote, of_before_restores_were_timed_is_read) {
    testing_support::SmallRepository small;
    const auto repository = small.open();
    ProofRecord record;
    record.level = 4;
    record.result = ProofResult::pass;
    record.seconds = 0.1;
    std::string text = encode(record, repository->keys(), small.sim.random);
    text[0] = 1;
    text.erase(4, 1);  // after version, level, result and 100 ms
    const ProofRecord read = decode_proof(text, repository->keys());
    EXPECT_EQ(read.level, 4);
    EXPECT_DOUBLE_EQ(read.seconds, 0.1);
    EXPECT_DOUBLE_EQ(read.restore_seconds, 0);
}

TEST(ProofNote, of_a_run_comes_back_as_it_was_written) {
    testing_support::SmallRepository small;
    const auto repository = small.open();
    const RunRecord record{"restore", "ok", 1.5, 10, 1000, "holdfast 1", "web1", "/srv", {}, "{}"};
    const std::string text = encode(record, repository->keys(), small.sim.random);
    EXPECT_EQ(text.find("/srv"), std::string::npos);
    const RunRecord read = decode_run(text, repository->keys());
    EXPECT_EQ(read.verb, "restore");
    EXPECT_EQ(read.result, "ok");
    EXPECT_EQ(read.items, 10U);
    EXPECT_EQ(read.bytes, 1000U);
    EXPECT_EQ(read.target, "/srv");
    EXPECT_EQ(read.host, "web1");
    EXPECT_EQ(read.run, "{}");
}

TEST(ProofNote, a_later_proof_that_says_less_replaces_nothing) {
    using enum ProofResult;
    EXPECT_EQ(after({proof(1, pass), proof(4, pass)})->level, 4);
    EXPECT_EQ(after({proof(4, pass), proof(1, pass)})->level, 4);
    EXPECT_EQ(after({proof(4, pass), proof(4, not_tested)})->result, pass);
    EXPECT_EQ(after({proof(4, pass), proof(1, fail)})->result, fail);
    EXPECT_EQ(after({proof(3, fail), proof(1, pass)})->result, fail);
    EXPECT_EQ(after({proof(3, fail), proof(4, pass)})->result, pass);
    EXPECT_EQ(after({proof(2, not_tested), proof(4, pass)})->level, 4);
}

}  // namespace
}  // namespace holdfast::repo
