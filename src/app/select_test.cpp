#include "app/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {
namespace {

using repo::Snapshot;
using repo::SnapshotId;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Snapshot snapshot(const std::string& id, const char* time, const std::string& source,
                  const std::string& host = "web1") {
    Snapshot out;
    out.id = SnapshotId::from_hex_text(id + std::string(64 - id.size(), '0')).value();
    out.time = out.received = parse_time(time, 0).value();
    out.source = source;
    out.host = host;
    return out;
}

const Nanoseconds now = parse_time("2026-03-10T12:00:00Z", 0).value();

std::vector<Snapshot> one_source() {
    return {snapshot("aa11", "2026-03-01T10:00:00Z", "files:/etc@web1"),
            snapshot("aa22", "2026-03-02T10:00:00Z", "files:/etc@web1"),
            snapshot("bb33", "2026-03-03T10:00:00Z", "files:/etc@web1")};
}

std::vector<Snapshot> two_sources() {
    auto out = one_source();
    out.push_back(snapshot("cc44", "2026-03-04T10:00:00Z", "uploads"));
    return out;
}

Wanted wanted(std::string text, std::optional<std::string> source = {}, std::optional<std::string> at = {}) {
    return {std::move(text), std::move(source), std::move(at)};
}

std::string chosen(const std::vector<Snapshot>& all, const Wanted& what) {
    const Selected out = select_snapshot(all, what, now);
    return out.snapshot->id.hex().substr(0, 4) + (out.path.empty() ? "" : " " + out.path);
}

Error error_of(const std::vector<Snapshot>& all, const Wanted& what) {
    try {
        select_snapshot(all, what, now);
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no error for " << what.text;
    return Error{Code::internal, "none"};
}

TEST(Select, latest_is_the_newest_and_the_default) {
    EXPECT_EQ(chosen(one_source(), wanted("latest")), "bb33");
    EXPECT_EQ(chosen(one_source(), wanted("")), "bb33");
    auto copied_later = one_source();
    std::swap(copied_later[0], copied_later[2]);
    EXPECT_EQ(chosen(copied_later, wanted("latest")), "bb33");
}

TEST(Select, an_id_may_be_shortened_to_what_is_unique) {
    EXPECT_EQ(chosen(one_source(), wanted("b")), "bb33");
    EXPECT_EQ(chosen(one_source(), wanted("AA2")), "aa22");
    EXPECT_EQ(chosen(two_sources(), wanted("aa1")), "aa11");
    const Error error = error_of(one_source(), wanted("aa"));
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.message(),
                HasSubstr("2 snapshots begin with aa: aa110000 2026-03-01T10:00:00Z files:/etc@web1, aa220000"));
}

TEST(Select, an_unknown_snapshot_is_not_found) {
    for (const char* text : {"dd", "zz", "aa1100x"}) {
        const Error error = error_of(one_source(), wanted(text));
        EXPECT_EQ(error.code(), Code::not_found) << text;
        EXPECT_EQ(error.exit_status(), 1);
    }
    EXPECT_EQ(error_of({}, wanted("latest")).code(), Code::not_found);
    EXPECT_EQ(error_of({}, wanted("aa")).code(), Code::not_found);
}

TEST(Select, a_path_may_follow) {
    EXPECT_EQ(chosen(one_source(), wanted("latest:/etc/ssh")), "bb33 /etc/ssh");
    EXPECT_EQ(chosen(one_source(), wanted("aa2:/etc/")), "aa22 /etc");
    EXPECT_EQ(chosen(one_source(), wanted("aa2:/")), "aa22 /");
    EXPECT_EQ(chosen(one_source(), wanted("aa2:/with:colon")), "aa22 /with:colon");
    EXPECT_EQ(chosen(one_source(), wanted("latest:orders.sql")), "bb33 orders.sql");
    EXPECT_EQ(chosen(one_source(), wanted("latest:")), "bb33");
}

TEST(Select, several_sources_need_a_choice) {
    const Error error = error_of(two_sources(), wanted("latest"));
    EXPECT_EQ(error.exit_status(), 2);
    EXPECT_THAT(error.message(), HasSubstr("2 sources: files:/etc@web1, uploads"));
    EXPECT_EQ(error.hint(), "Choose one with --source.");
    EXPECT_EQ(error_of(two_sources(), wanted("latest", {}, "2026-03-02")).exit_status(), 2);
    EXPECT_EQ(chosen(two_sources(), wanted("latest", "uploads")), "cc44");
    EXPECT_EQ(chosen(two_sources(), wanted("latest", "files:/etc")), "bb33");
    EXPECT_EQ(chosen(two_sources(), wanted("latest", "files:/etc@web1")), "bb33");
    EXPECT_EQ(chosen(two_sources(), wanted("latest", "uploads@web1")), "cc44");
}

TEST(Select, one_path_on_two_hosts_is_two_sources) {
    const std::vector<Snapshot> all{snapshot("aa11", "2026-03-01T10:00:00Z", "files:/etc@a", "a"),
                                    snapshot("bb22", "2026-03-01T10:00:00Z", "files:/etc@b", "b")};
    EXPECT_THAT(error_of(all, wanted("latest", "files:/etc")).message(), HasSubstr("files:/etc@a, files:/etc@b"));
    EXPECT_EQ(chosen(all, wanted("latest", "files:/etc@a")), "aa11");
}

TEST(Select, the_name_of_a_source_means_its_newest) {
    EXPECT_EQ(chosen(two_sources(), wanted("uploads")), "cc44");
    EXPECT_EQ(chosen(two_sources(), wanted("files:/etc@web1")), "bb33");
    EXPECT_EQ(chosen(two_sources(), wanted("files:/etc")), "bb33");
    EXPECT_EQ(chosen(two_sources(), wanted("files:/etc:/etc/ssh")), "bb33 /etc/ssh");
    EXPECT_EQ(chosen(two_sources(), wanted("files:/etc@web1:/etc/ssh")), "bb33 /etc/ssh");
    EXPECT_EQ(error_of(two_sources(), wanted("uploads", "files:/etc")).code(), Code::usage);
}

TEST(Select, a_wrong_source_names_the_nearest) {
    const Error error = error_of(two_sources(), wanted("latest", "uplaods"));
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_EQ(error.hint(), "Did you mean `uploads`?");
    EXPECT_EQ(error_of(two_sources(), wanted("aa1", "uploads")).code(), Code::not_found);
}

TEST(Select, at_takes_the_newest_one_at_or_before_and_says_so) {
    const auto snapshots = one_source();  // what is found points into it
    const Selected found = select_snapshot(snapshots, wanted("latest", {}, "2026-03-02T12:00:00Z"), now);
    EXPECT_EQ(found.snapshot->id.hex().substr(0, 4), "aa22");
    EXPECT_THAT(found.remarks,
                ElementsAre(HasSubstr("the newest snapshot at or before it is aa220000 of 2026-03-02T10:00:00Z")));
    EXPECT_THAT(select_snapshot(one_source(), wanted("", {}, "2026-03-02T10:00:00Z"), now).remarks, IsEmpty());
    EXPECT_EQ(chosen(one_source(), wanted("", {}, "8d")), "aa22");
}

TEST(Select, at_before_the_oldest_names_the_oldest) {
    const Error error = error_of(one_source(), wanted("", {}, "2026-02-01T00:00:00Z"));
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_EQ(error.hint(), "The oldest one is aa110000 2026-03-01T10:00:00Z files:/etc@web1.");
}

TEST(Select, at_with_an_id_or_a_wrong_time_is_refused) {
    EXPECT_EQ(error_of(one_source(), wanted("aa1", {}, "2d")).code(), Code::usage);
    EXPECT_EQ(error_of(one_source(), wanted("", {}, "yesterday")).message(), "`yesterday` is not a time");
}

TEST(Select, a_local_time_is_said_in_utc) {
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    const Selected found = select_snapshot(one_source(), wanted("", {}, "2026-03-02 11:00"), now);
    unsetenv("TZ");
    tzset();
    EXPECT_THAT(found.remarks, ElementsAre("--at 2026-03-02 11:00 is 2026-03-02T10:00:00Z"));
    EXPECT_TRUE(is_local_time("2026-03-02 11:00"));
    EXPECT_TRUE(is_local_time("2026-03-02T11:00:00"));
    EXPECT_TRUE(is_local_time("2026-03-02"));
    EXPECT_FALSE(is_local_time("2026-03-02T11:00:00Z"));
    EXPECT_FALSE(is_local_time("2026-03-02T11:00:00+01:00"));
    EXPECT_FALSE(is_local_time("2026-03-02T11:00:00-05:00"));
    EXPECT_FALSE(is_local_time("2h"));
}

TEST(Select, good_is_the_newest_that_passed_at_v3_without_a_flag) {
    using enum repo::ProofResult;
    auto snapshots = one_source();
    snapshots[0].proof = {4, pass, now, 1};
    EXPECT_EQ(chosen(snapshots, wanted("good")), "aa11");
    EXPECT_EQ(chosen(snapshots, wanted("good:/etc")), "aa11 /etc");
    snapshots[1].proof = {2, pass, now, 1};
    EXPECT_EQ(chosen(snapshots, wanted("good")), "aa11");
    snapshots[1].proof = {3, fail, now, 1};
    EXPECT_EQ(chosen(snapshots, wanted("good")), "aa11");
    snapshots[1].proof = {3, pass, now, 1};
    EXPECT_EQ(chosen(snapshots, wanted("good")), "aa22");
    snapshots[1].flags.emplace_back("suspicious");
    EXPECT_EQ(chosen(snapshots, wanted("good")), "aa11");
    snapshots[0].proof.reset();
    EXPECT_THAT(error_of(snapshots, wanted("good")).message(), HasSubstr("without a flag, so none is good"));
}

TEST(Select, latest_says_when_an_older_one_is_good_and_it_is_not) {
    auto snapshots = one_source();
    EXPECT_THAT(select_snapshot(snapshots, wanted("latest"), now).remarks, IsEmpty());
    snapshots[0].proof = {4, repo::ProofResult::pass, now, 1};
    EXPECT_THAT(select_snapshot(snapshots, wanted("latest"), now).remarks,
                ElementsAre(HasSubstr("is not proven; the newest good one is aa110000")));
    EXPECT_THAT(select_snapshot(snapshots, wanted("good"), now).remarks, IsEmpty());
    snapshots.back().proof = {1, repo::ProofResult::fail, now, 1};
    EXPECT_THAT(select_snapshot(snapshots, wanted("latest"), now).remarks, ElementsAre(HasSubstr("FAILED its proof")));
}

TEST(Select, good_says_that_nothing_is_proven_yet) {
    for (const char* text : {"good", "good:/etc"}) {
        const Error error = error_of(one_source(), wanted(text));
        EXPECT_EQ(error.exit_status(), 1);
        EXPECT_THAT(error.message(), HasSubstr("no snapshot has been proven yet"));
        EXPECT_THAT(error.hint(), HasSubstr("prove"));
    }
}

}  // namespace
}  // namespace holdfast::app
