#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

namespace holdfast {
namespace {

TEST(Error, every_code_has_a_row_of_its_own) {
    std::set<std::string_view> slugs;
    for (const CodeInfo& info : code_table()) {
        EXPECT_EQ(&info_of(info.code), &info);
        EXPECT_TRUE(slugs.insert(info.slug).second) << info.slug;
        EXPECT_FALSE(info.meaning.empty()) << info.slug;
        EXPECT_GT(info.exit_status, 0) << info.slug;
        EXPECT_LT(info.exit_status, 256) << info.slug;
    }
}

TEST(Error, the_exit_statuses_are_those_of_the_design) {
    const std::pair<Code, int> design[] = {
        {Code::failed, 1},         {Code::usage, 2},          {Code::config, 2},         {Code::partial, 3},
        {Code::no_repository, 10}, {Code::newer_format, 10},  {Code::busy, 11},          {Code::fenced, 11},
        {Code::wrong_key, 12},     {Code::denied, 12},        {Code::corrupt, 13},       {Code::rolled_back, 13},
        {Code::retention, 14},     {Code::source_failed, 15}, {Code::target_failed, 16}, {Code::unreachable, 17},
        {Code::no_space, 18},      {Code::not_found, 1},      {Code::already_exists, 1}, {Code::cancelled, 130},
        {Code::terminated, 143}};
    for (const auto& [code, exit] : design) EXPECT_EQ(info_of(code).exit_status, exit) << info_of(code).slug;
}

TEST(Error, it_remembers_where_it_was_made) {
    const Error error{Code::failed, "{} of {}", 1, "two"};
    EXPECT_EQ(error.message(), "1 of two");
    EXPECT_STREQ(error.what(), "1 of two");
    EXPECT_NE(std::string_view(error.where().file_name()).find("error_test.cpp"), std::string_view::npos);
    EXPECT_EQ(error.exit_status(), 1);
}

TEST(Error, notes_of_all_levels_are_kept_from_the_inside_out) {
    const std::string outer = "job";
    const Note first{"running {}", outer};
    try {
        const int number = 7;
        const Note second{"reading item {}", number};
        throw Error{Code::failed, "no"};
    } catch (const Error& error) {
        EXPECT_EQ(error.notes(), (std::vector<std::string>{"reading item 7", "running job"}));
    }
    EXPECT_EQ(current_notes(), std::vector<std::string>{"running job"});
}

TEST(Error, a_note_shows_its_arguments_as_they_are_when_it_is_needed) {
    int step = 1;
    const Note note{"step {}", step};
    step = 2;
    EXPECT_EQ(current_notes(), std::vector<std::string>{"step 2"});
}

TEST(Error, notes_belong_to_their_thread) {
    const std::string name = "x";
    const Note note{"outside {}", name};
    std::jthread([] { EXPECT_TRUE(current_notes().empty()); }).join();
}

TEST(Error, for_people_it_is_a_few_lines) {
    const std::string path = "a\nb";
    const Note note{"reading {}", path};
    const Error error =
        Error{Code::wrong_key, "no slot opens"}.hint("Try another key.").unharmed("nothing was written");
    EXPECT_EQ(render(error),
              "holdfast: wrong_key: no slot opens\n"
              "  while reading a\\nb\n"
              "  nothing was written\n"
              "  hint: Try another key.\n");
    EXPECT_EQ(render(Error{Code::failed, "\x1b[2J"}), "holdfast: failed: \\x1b[2J\n  while reading a\\nb\n");
}

TEST(Error, a_defect_of_ours_says_where) {
    EXPECT_NE(render(Error{Code::internal, "oops"}).find("error_test.cpp:"), std::string::npos);
}

TEST(Error, what_is_set_first_stays) {
    Error error = Error{Code::failed, "x"}.hint("First.").unharmed("first");
    error.set_hint("Second.");
    error.set_unharmed("second");
    EXPECT_EQ(error.hint(), "First.");
    EXPECT_EQ(error.unharmed(), "first");
    Error bare{Code::failed, "x"};
    bare.set_hint("Second.");
    bare.set_unharmed("second");
    EXPECT_EQ(bare.hint(), "Second.");
    EXPECT_EQ(bare.unharmed(), "second");
}

TEST(Error, any_exception_becomes_one) {
    const auto converted = [](auto&& thrown) {
        return as_error(std::make_exception_ptr(std::forward<decltype(thrown)>(thrown)));
    };
    EXPECT_EQ(converted(Error{Code::busy, "x"}).code(), Code::busy);
    EXPECT_EQ(converted(std::bad_alloc()).code(), Code::failed);
    EXPECT_EQ(converted(std::runtime_error("odd")).message(), "odd");
    EXPECT_EQ(converted(std::runtime_error("odd")).code(), Code::internal);
    EXPECT_EQ(converted(7).code(), Code::internal);
}

TEST(Error, the_text_of_an_errno_begins_small) {
    EXPECT_EQ(errno_text(ENOENT), "no such file or directory");
    EXPECT_EQ(errno_text(EIO), "input/output error");
    EXPECT_EQ(errno_code(ENOSPC, Code::target_failed), Code::no_space);
    EXPECT_EQ(errno_code(EDQUOT, Code::target_failed), Code::no_space);
    EXPECT_EQ(errno_code(EIO, Code::target_failed), Code::target_failed);
}

void break_an_invariant() {
    const std::string name = "x";
    const Note note{"testing {}", name};
    HF_ASSERT(name == "y");
}

TEST(ErrorDeathTest, a_broken_invariant_ends_the_process_with_its_notes) {
    EXPECT_DEATH(break_an_invariant(), "broken invariant: name == \"y\"");
    EXPECT_DEATH(break_an_invariant(), "while testing x");
}

}  // namespace
}  // namespace holdfast
