#include "app/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/exit_order.h"
#include "app/item_text.h"
#include "app/progress_line.h"
#include "base/text.h"

namespace holdfast::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Table, columns_are_as_wide_as_they_need_to_be) {
    Table table({{"ID"}, {"SIZE", Table::Align::right}, {"NAME"}});
    table.add({"a", "1", "f\xc3\xbcr"});
    table.add({"bcd", "1,000", ""});
    EXPECT_THAT(table.lines(), ElementsAre("ID    SIZE  NAME", "a        1  f\xc3\xbcr", "bcd  1,000"));
}

TEST(Table, a_cell_cannot_break_its_line) {
    Table table({{"NAME"}, {"X"}});
    table.add({"a\nb\x1b[2J", "y"});
    EXPECT_THAT(table.lines(), ElementsAre("NAME         X", "a\\nb\\x1b[2J  y"));
}

TEST(Output, errors_for_people_have_notes_and_a_hint) {
    Output out;
    testing::internal::CaptureStderr();
    const std::string name = "a\nb";
    const Note note{"reading {}", name};
    out.error(Error{Code::corrupt, "it is \x1b[31mred"}.hint("Paint it.").unharmed("nothing was written"));
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "holdfast: corrupt: it is \\x1b[31mred\n  while reading a\\nb\n  nothing was written\n  hint: "
              "Paint it.\n");
}

TEST(Output, errors_for_programs_have_the_keys_of_the_design) {
    Output out;
    out.style = Style::json;
    testing::internal::CaptureStderr();
    const std::string name = "x";
    const Note note{"reading {}", name};
    out.error(Error{Code::wrong_key, "no slot opens"}.hint("Try again.").unharmed("nothing was written"));
    EXPECT_EQ(
        testing::internal::GetCapturedStderr(),
        R"({"type":"error","code":"wrong_key","message":"no slot opens","notes":["while reading x","nothing was written"],)"
        R"("hint":"Try again.","exit":12})"
        "\n");
}

TEST(Output, data_goes_to_standard_output_and_talk_does_not) {
    Output out;
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    out.line("data");
    out.say("talk");
    out.warn("care");
    out.quiet = true;
    out.say("more talk");
    out.finish();
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "data\n");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "talk\nholdfast: warning: care\n");
}

TEST(Output, json_keeps_paths_that_are_not_utf8) {
    Json json;
    add_path(json, "a\xff");
    EXPECT_EQ(text_of(json), "{\"path\":\"a\xef\xbf\xbd\",\"path_b64\":\"Yf8=\"}");
    Json plain;
    add_path(plain, "f\xc3\xbcr");
    EXPECT_EQ(text_of(plain), "{\"path\":\"f\xc3\xbcr\"}");
}

Item item() {
    Item out;
    out.path = "/a";
    out.mode = 0644;
    out.uid = 1;
    out.gid = 2;
    out.size = 1236;
    out.mtime_s = 1'772'338'200;
    out.mtime_ns = 500'000'000;
    return out;
}

TEST(Output, json_of_an_item_has_the_keys_of_the_design) {
    EXPECT_EQ(text_of(json_of(item())),
              R"({"path":"/a","type":"file","size":1236,"mode":420,"uid":1,"gid":2,"mtime":"2026-03-01T04:10:00.5Z"})");
    Item odd = item();
    odd.mtime_s = INT64_MAX;
    EXPECT_EQ(json_of(odd)["mtime"], INT64_MAX);
    odd.mtime_s = -1;
    EXPECT_EQ(json_of(odd)["mtime"], "1969-12-31T23:59:59.5Z");
}

TEST(Output, modes_are_shown_as_ls_does) {
    Item each = item();
    EXPECT_EQ(mode_text(each), "-rw-r--r--");
    each.kind = ItemKind::folder;
    each.mode = 01777;
    EXPECT_EQ(mode_text(each), "drwxrwxrwt");
    each.kind = ItemKind::file;
    each.mode = 04755;
    EXPECT_EQ(mode_text(each), "-rwsr-xr-x");
    each.mode = 06640;
    EXPECT_EQ(mode_text(each), "-rwSr-S---");
    each.path = "a\nb";
    EXPECT_THAT(item_text(each), HasSubstr("1.24 kB"));
    EXPECT_THAT(item_text(each), testing::EndsWith("a\\nb"));
}

TEST(Output, only_the_first_findings_are_printed_for_people) {
    std::vector<Finding> findings(23, Finding{"/a", Finding::Kind::unreadable, "permission denied"});
    Output out;
    testing::internal::CaptureStderr();
    print_findings(out, findings);
    const auto lines = split(testing::internal::GetCapturedStderr(), '\n');
    ASSERT_EQ(lines.size(), 22U);
    EXPECT_EQ(lines[0], "holdfast: warning: /a unreadable: permission denied");
    EXPECT_EQ(lines[20], "holdfast: warning: … and 3 more");
    out.style = Style::json;
    testing::internal::CaptureStdout();
    print_findings(out, findings);
    out.finish();
    EXPECT_EQ(split(testing::internal::GetCapturedStdout(), '\n').size(), 24U);
}

TEST(Output, a_rate_is_said_where_it_means_something) {
    EXPECT_EQ(time_and_rate(4.2, 882'000'000), "4.2 s, 210 MB/s");
    EXPECT_EQ(time_and_rate(0.004, 900), "4 ms");
    EXPECT_EQ(time_and_rate(0, 5'000'000), "0 s");
}

TEST(Progress, says_how_much_how_fast_and_how_long) {
    ProgressSample sample;
    sample.items = 12345;
    sample.bytes = 1'236'000'000;
    sample.bytes_total = 2'750'000'000;
    sample.elapsed = 6 * one_second;
    EXPECT_EQ(progress_text("x", sample, 210e6), "x  44 %  1.24 GB of 2.75 GB  12,345 items  210 MB/s  8.0 s left");
    sample.bytes_total = 0;
    EXPECT_EQ(progress_text("x", sample, 0), "x  1.24 GB  12,345 items  6.0 s");
    sample.bytes_total = 1000;
    EXPECT_EQ(progress_text("x", sample, 210e6), "x  100 %  1.24 GB of 1.00 kB  12,345 items  210 MB/s  6.0 s");
    sample.bytes_total = UINT64_MAX;
    EXPECT_EQ(progress_text("", sample, 2).find("left"), std::string::npos);
}

TEST(Progress, the_rate_follows_what_happens_now) {
    Rate rate;
    EXPECT_DOUBLE_EQ(rate.update(one_second, 100), 100);
    double now = 0;
    for (int second = 2; second < 40; ++second) now = rate.update(second * one_second, 100);
    EXPECT_LT(now, 1);
    EXPECT_GE(now, 0);
    EXPECT_DOUBLE_EQ(rate.update(39 * one_second, 500), now);
}

TEST(Progress, a_line_ends_with_its_work) {
    Output out;
    out.style = Style::json;
    out.verbose = true;
    engine::Progress progress;
    testing::internal::CaptureStdout();
    { const ProgressLine line(out, system_clock(), progress, "x"); }
    testing::internal::GetCapturedStdout();
}

TEST(ExitOrder, the_worst_exit_wins) {
    EXPECT_EQ(worse_exit(0, 3), 3);
    EXPECT_EQ(worse_exit(3, 1), 1);
    EXPECT_EQ(worse_exit(1, 16), 16);
    EXPECT_EQ(worse_exit(16, 15), 15);
    EXPECT_EQ(worse_exit(15, 17), 17);
    EXPECT_EQ(worse_exit(17, 18), 18);
    EXPECT_EQ(worse_exit(18, 11), 11);
    EXPECT_EQ(worse_exit(11, 12), 12);
    EXPECT_EQ(worse_exit(12, 13), 13);
    EXPECT_EQ(worse_exit(13, 130), 130);
    EXPECT_EQ(worse_exit(143, 130), 130);
    for (const CodeInfo& info : code_table()) {
        EXPECT_EQ(worse_exit(0, info.exit_status), info.exit_status);
        EXPECT_EQ(worse_exit(info.exit_status, 0), info.exit_status);
    }
}

}  // namespace
}  // namespace holdfast::app
