#include "source/folder_rebuild.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "source/partial_mark.h"
#include "source/rebuild_context.h"
#include "source/rebuild_target.h"
#include "source/test_help.h"

namespace holdfast {

namespace {

std::uint32_t own_uid() { return ::geteuid(); }
std::uint32_t own_gid() { return ::getegid(); }

Item folder_item(const std::string& path, std::uint32_t mode = 0755) {
    Item item;
    item.path = path;
    item.kind = ItemKind::folder;
    item.mode = mode;
    item.uid = own_uid();
    item.gid = own_gid();
    item.mtime_s = 1'000'000'000;
    return item;
}

Item file_item(const std::string& path, std::string_view text, std::uint32_t mode = 0644) {
    Item item = folder_item(path, mode);
    item.kind = ItemKind::file;
    item.size = text.size();
    item.mtime_ns = 5;
    return item;
}

// One of the names of a file whose content is "shared".
Item linked(const std::string& path) {
    Item item = file_item(path, "shared");
    item.hard_link = 77;
    return item;
}

Item link_item(const std::string& path, const std::string& link) {
    Item item = folder_item(path, 0777);
    item.kind = ItemKind::symlink;
    item.link = link;
    return item;
}

bool anything(const std::string&) { return true; }

class FolderRebuildTest : public testing::Test {
protected:
    RebuildRequest request(Existing existing = Existing::refuse) {
        return {
            .world = world_, .target = target_, .existing = existing, .sync = false, .snapshot_id = "abc", .strip = ""};
    }
    // Gives one item, with its content.
    static void put(Rebuild& rebuild, const Item& item, std::string_view text = "") {
        const Rebuild::Ticket ticket = rebuild.begin_item(item);
        if (!ticket.wants_content) return;
        rebuild.write(ticket, 0, as_bytes(text));
        rebuild.end_item(ticket);
    }
    // "/", "/d", "/d/file", "/d/link".
    Rebuild::Summary restore_small(const RebuildRequest& asked, std::string_view text = "hello") {
        const auto rebuild = rebuild_into_folder(asked);
        put(*rebuild, folder_item("/"));
        put(*rebuild, folder_item("/d", 0750));
        put(*rebuild, file_item("/d/file", text), text);
        put(*rebuild, link_item("/d/link", "file"));
        return rebuild->finish();
    }
    std::string at(const std::string& path) const { return target_ + "/" + path; }
    std::string text_of(const std::string& path) const { return std::string(as_text(read_file(at(path)))); }
    void write_text(const std::string& path, const std::string& text) const { std::ofstream(at(path)) << text; }
    void make_folder(const std::string& path) const { std::filesystem::create_directories(at(path)); }
    bool is_there(const std::string& path) const {
        return std::filesystem::exists(std::filesystem::symlink_status(at(path)));
    }
    struct stat stat_of(const std::string& path) const {
        struct stat stat {};
        EXPECT_EQ(::lstat(at(path).c_str(), &stat), 0) << path;
        return stat;
    }
    std::vector<std::string> names_at(const std::string& path) const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(at(path)))
            names.push_back(entry.path().filename());
        std::ranges::sort(names);
        return names;
    }
    template <class Call>
    static Error error_of(const Call& call) {
        try {
            call();
        } catch (const Error& error) {
            return error;
        }
        return Error{Code::internal, "nothing was thrown"};
    }

    const TemporaryFolder outside_;
    const std::string target_ = outside_.path() + "/made/target";
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};
};

}  // namespace

TEST_F(FolderRebuildTest, makes_the_target_and_everything_in_it) {
    const Rebuild::Summary summary = restore_small(request());
    EXPECT_EQ(summary.items_written, 4U);
    EXPECT_EQ(summary.items_unchanged, 0U);
    EXPECT_TRUE(summary.findings.empty());
    EXPECT_EQ(text_of("d/file"), "hello");
    EXPECT_EQ(stat_of("d/file").st_mtim.tv_sec, 1'000'000'000);
    EXPECT_EQ(stat_of("d/file").st_mtim.tv_nsec, 5);
    EXPECT_EQ(stat_of("d").st_mode & 07777, 0750U);
    EXPECT_EQ(stat_of("d").st_mtim.tv_sec, 1'000'000'000);
    EXPECT_EQ(stat_of(".").st_mtim.tv_sec, 1'000'000'000);
    EXPECT_EQ(std::filesystem::read_symlink(at("d/link")), "file");
    EXPECT_EQ(names_at("."), std::vector<std::string>{"d"});
}

TEST_F(FolderRebuildTest, refuses_a_target_that_is_not_empty) {
    make_folder("");
    write_text("mine", "precious");
    const Error error = error_of([&] { restore_small(request()); });
    EXPECT_EQ(error.code(), Code::target_failed);
    EXPECT_EQ(error.exit_status(), 16);
    EXPECT_NE(error.hint().find("--in-place"), std::string::npos);
    EXPECT_NE(error.unharmed(), "");
    EXPECT_EQ(names_at("."), std::vector<std::string>{"mine"});
}

TEST_F(FolderRebuildTest, leaves_the_metadata_of_a_target_that_was_there) {
    make_folder("");
    ASSERT_EQ(::chmod(target_.c_str(), 0700), 0);
    restore_small(request());
    EXPECT_EQ(stat_of(".").st_mode & 07777, 0700U);
}

TEST_F(FolderRebuildTest, in_place_gives_the_target_nothing_of_a_folder_that_only_leads) {
    make_folder("");
    ASSERT_EQ(::chmod(target_.c_str(), 0700), 0);
    const auto restore = [&](Wholeness wholeness) {
        const auto rebuild = rebuild_into_folder(request(Existing::in_place));
        Item top = folder_item("/");
        mark_wholeness(top, wholeness);
        put(*rebuild, top);
        put(*rebuild, folder_item("/d"));
        rebuild->finish();
        return stat_of(".").st_mode & 07777;
    };
    EXPECT_EQ(restore(Wholeness::leading), 0700U);
    EXPECT_EQ(restore(Wholeness::in_part), 0755U);
}

TEST_F(FolderRebuildTest, refuses_a_target_that_is_a_file) {
    std::filesystem::create_directories(outside_.path() + "/made");
    std::ofstream(target_) << "x";
    EXPECT_EQ(error_of([&] { restore_small(request()); }).code(), Code::target_failed);
    RebuildRequest below = request();
    below.target += "/deeper";
    EXPECT_EQ(error_of([&] { restore_small(below); }).code(), Code::target_failed);
}

TEST_F(FolderRebuildTest, takes_up_its_own_interrupted_restore) {
    {
        const auto rebuild = rebuild_into_folder(request());
        put(*rebuild, folder_item("/d", 0750));
        put(*rebuild, file_item("/d/done", "complete"), "complete");
        const Rebuild::Ticket ticket = rebuild->begin_item(file_item("/d/half", "0123456789"));
        rebuild->write(ticket, 0, as_bytes("01234"));
    }
    EXPECT_TRUE(is_there(std::string(restore_marker)));
    const ino_t inode = stat_of("d/done").st_ino;
    RebuildRequest other = request();
    other.snapshot_id = "another";
    EXPECT_EQ(error_of([&] { rebuild_into_folder(other); }).code(), Code::target_failed);
    const auto rebuild = rebuild_into_folder(request());
    put(*rebuild, folder_item("/d", 0750));
    EXPECT_FALSE(rebuild->begin_item(file_item("/d/done", "complete")).wants_content);
    put(*rebuild, file_item("/d/half", "0123456789"), "0123456789");
    put(*rebuild, file_item("/d/never begun", "n"), "n");
    const Rebuild::Summary summary = rebuild->finish();
    EXPECT_EQ(summary.items_unchanged, 1U);
    EXPECT_EQ(summary.items_written, 3U);
    EXPECT_EQ(stat_of("d/done").st_ino, inode);
    EXPECT_EQ(text_of("d/half"), "0123456789");
    EXPECT_EQ(names_at("."), std::vector<std::string>{"d"});
}

TEST_F(FolderRebuildTest, takes_up_the_same_part_of_a_snapshot_only) {
    RebuildRequest asked = request();
    asked.strip = "/releases/1";
    asked.selection = "--include " + std::string(10'000, 'x');
    {
        const auto rebuild = rebuild_into_folder(asked);
        put(*rebuild, file_item("/releases/1/file", "one"), "one");
    }
    RebuildRequest other_folder = asked;
    other_folder.strip = "/releases/2";
    const Error error = error_of([&] { rebuild_into_folder(other_folder); });
    EXPECT_EQ(error.code(), Code::target_failed);
    EXPECT_NE(error.message().find("contents of /releases/1"), std::string::npos);
    RebuildRequest other_selection = asked;
    other_selection.selection.back() = 'y';
    EXPECT_EQ(error_of([&] { rebuild_into_folder(other_selection); }).code(), Code::target_failed);
    EXPECT_EQ(error_of([&] { rebuild_into_folder(request()); }).code(), Code::target_failed);
    EXPECT_EQ(text_of("file"), "one");
    const auto rebuild = rebuild_into_folder(asked);
    EXPECT_FALSE(rebuild->begin_item(file_item("/releases/1/file", "one")).wants_content);
    rebuild->finish();
    EXPECT_EQ(names_at("."), std::vector<std::string>{"file"});
}

TEST_F(FolderRebuildTest, believes_no_times_after_the_machine_went_down) {
    {
        const auto rebuild = rebuild_into_folder(request());
        put(*rebuild, file_item("/file", "lost in the crash"), "zeros for a while");
    }
    write_text(std::string(restore_marker), "unfinished restore of snapshot abc\nboot another\n");
    const auto rebuild = rebuild_into_folder(request());
    put(*rebuild, file_item("/file", "lost in the crash"), "lost in the crash");
    rebuild->finish();
    EXPECT_EQ(text_of("file"), "lost in the crash");
}

TEST_F(FolderRebuildTest, is_alone_in_its_target) {
    const auto rebuild = rebuild_into_folder(request());
    EXPECT_EQ(error_of([&] { rebuild_into_folder(request()); }).code(), Code::busy);
}

TEST_F(FolderRebuildTest, writes_in_place_only_what_differs) {
    restore_small(request());
    const ino_t inode = stat_of("d/file").st_ino;
    const Rebuild::Summary same = restore_small(request(Existing::in_place));
    EXPECT_EQ(same.items_written, 0U);
    EXPECT_EQ(same.items_unchanged, 4U);
    ASSERT_EQ(::chmod(at("d/file").c_str(), 0600), 0);
    const Rebuild::Summary mode = restore_small(request(Existing::in_place));
    EXPECT_EQ(mode.items_written, 1U);
    EXPECT_EQ(stat_of("d/file").st_mode & 07777, 0644U);
    write_text("d/file", "hellooooo");
    const Rebuild::Summary content = restore_small(request(Existing::in_place));
    EXPECT_EQ(content.items_written, 1U);
    EXPECT_EQ(text_of("d/file"), "hello");
    EXPECT_EQ(stat_of("d/file").st_ino, inode);
}

TEST_F(FolderRebuildTest, in_place_clears_what_is_a_hole_and_cuts_what_is_too_long) {
    make_folder("");
    write_text("file", std::string(3'000'000, 'x'));
    std::string expected(2'000'000, '\0');
    expected.replace(500'000, 100'000, 100'000, 'a');
    expected.replace(1'000'000, 200'000, 200'000, 'b');
    const auto rebuild = rebuild_into_folder(request(Existing::in_place));
    const Rebuild::Ticket ticket = rebuild->begin_item(file_item("/file", expected));
    for (const std::size_t offset : {1'100'000U, 500'000U, 1'000'000U})
        rebuild->write(ticket, offset, as_bytes(expected).subspan(offset, 100'000));
    rebuild->end_item(ticket);
    rebuild->finish();
    EXPECT_TRUE(text_of("file") == expected);
    EXPECT_LT(stat_of("file").st_blocks * 512, 1'000'000);
}

TEST_F(FolderRebuildTest, gives_back_setuid_that_writing_takes) {
    make_folder("");
    write_text("file", "other bytes");
    if (own_uid() == 0) {
        ASSERT_EQ(::chmod(outside_.path().c_str(), 0711), 0);
        for (const char* path : {"", "file"}) ASSERT_EQ(::chown(at(path).c_str(), AsOrdinaryUser::id, own_gid()), 0);
    }
    const AsOrdinaryUser ordinary;
    ASSERT_EQ(::chmod(at("file").c_str(), 04755), 0);
    const auto rebuild = rebuild_into_folder(request(Existing::in_place));
    put(*rebuild, file_item("/file", "the bytes", 04755), "the bytes");
    EXPECT_TRUE(rebuild->finish().findings.empty());
    EXPECT_EQ(text_of("file"), "the bytes");
    EXPECT_EQ(stat_of("file").st_mode & 07777, 04755U);
}

TEST_F(FolderRebuildTest, in_place_does_not_write_through_other_names_of_a_file) {
    make_folder("d");
    write_text("other", "keep me");
    std::filesystem::create_hard_link(at("other"), at("d/file"));
    restore_small(request(Existing::in_place));
    EXPECT_EQ(text_of("other"), "keep me");
    EXPECT_EQ(text_of("d/file"), "hello");
    EXPECT_EQ(stat_of("d/file").st_nlink, 1U);
}

TEST_F(FolderRebuildTest, in_place_leaves_what_is_of_another_kind) {
    make_folder("d/file");
    write_text("d/link", "a file");
    const Rebuild::Summary summary = restore_small(request(Existing::in_place));
    ASSERT_EQ(summary.findings.size(), 2U);
    EXPECT_EQ(summary.findings[0].path, "/d/file");
    EXPECT_NE(summary.findings[0].text.find("--overwrite"), std::string::npos);
    EXPECT_TRUE(std::filesystem::is_directory(at("d/file")));
    EXPECT_EQ(text_of("d/link"), "a file");
}

TEST_F(FolderRebuildTest, overwrites_what_is_in_the_way) {
    make_folder("d/file/full/of");
    write_text("d/file/full/of/things", "x");
    write_text("d/link", "a file");
    write_text("other", "stays");
    const Rebuild::Summary summary = restore_small(request(Existing::overwrite));
    EXPECT_TRUE(summary.findings.empty());
    EXPECT_EQ(text_of("d/file"), "hello");
    EXPECT_EQ(std::filesystem::read_symlink(at("d/link")), "file");
    EXPECT_EQ(text_of("other"), "stays");
    std::filesystem::remove_all(at("d"));
    write_text("d", "a file where the folder goes");
    EXPECT_TRUE(restore_small(request(Existing::overwrite)).findings.empty());
    EXPECT_EQ(text_of("d/file"), "hello");
}

TEST_F(FolderRebuildTest, never_leaves_the_target_through_a_symlink) {
    const std::string elsewhere = outside_.path() + "/elsewhere";
    std::filesystem::create_directories(elsewhere);
    std::ofstream(elsewhere + "/file") << "untouched";
    make_folder("");
    std::filesystem::create_symlink(elsewhere, at("d"));
    const Rebuild::Summary summary = restore_small(request(Existing::in_place));
    EXPECT_EQ(as_text(read_file(elsewhere + "/file")), "untouched");
    EXPECT_EQ(summary.findings.size(), 2U);  // the folder, and what goes into it
    make_folder("e");
    std::filesystem::remove(at("d"));
    make_folder("d");
    std::filesystem::create_symlink(elsewhere + "/file", at("d/file"));
    restore_small(request(Existing::overwrite));
    EXPECT_EQ(as_text(read_file(elsewhere + "/file")), "untouched");
    EXPECT_EQ(text_of("d/file"), "hello");
}

TEST_F(FolderRebuildTest, is_not_led_astray_by_a_symlink_that_appears_meanwhile) {
    const std::string elsewhere = outside_.path() + "/elsewhere";
    std::filesystem::create_directories(elsewhere);
    const auto rebuild = rebuild_into_folder(request());
    put(*rebuild, folder_item("/d"));
    put(*rebuild, folder_item("/d/e"));
    std::filesystem::remove(at("d/e"));
    std::filesystem::create_symlink(elsewhere, at("d/e"));
    put(*rebuild, file_item("/d/e/file", "x"), "x");
    const Rebuild::Summary summary = rebuild->finish();
    EXPECT_FALSE(summary.findings.empty());
    EXPECT_TRUE(std::filesystem::is_empty(elsewhere));
}

TEST_F(FolderRebuildTest, refuses_paths_that_lead_out_of_the_target) {
    for (const std::string path : {"/../x", "/a/../../x", "/a/./b", "/a//b", "..", "a/.."}) {
        std::filesystem::remove_all(target_);
        const auto rebuild = rebuild_into_folder(request());
        EXPECT_EQ(error_of([&] { rebuild->begin_item(file_item(path, "x")); }).code(), Code::corrupt) << path;
    }
    std::filesystem::remove_all(target_);
    const auto rebuild = rebuild_into_folder(request());
    EXPECT_EQ(error_of([&] { rebuild->begin_item(file_item(std::string("/a\0b", 4), "x")); }).code(), Code::corrupt);
}

TEST_F(FolderRebuildTest, deletes_others_only_in_folders_of_the_snapshot) {
    restore_small(request());
    write_text("top", "x");
    write_text("d/extra", "x");
    make_folder("d/extra folder/deep");
    write_text("d/extra folder/deep/file", "x");
    make_folder("beside");
    RebuildRequest asked = request(Existing::in_place);
    asked.may_delete = anything;
    const auto restore = [&](bool dry_run) {
        asked.dry_run = dry_run;
        const auto rebuild = rebuild_into_folder(asked);
        Item top = folder_item("/");
        mark_wholeness(top, Wholeness::leading);
        put(*rebuild, top);
        put(*rebuild, folder_item("/d", 0750));
        put(*rebuild, file_item("/d/file", "hello"), "hello");
        put(*rebuild, link_item("/d/link", "file"));
        return rebuild->finish();
    };
    EXPECT_EQ(restore(true).items_deleted, 4U);
    EXPECT_TRUE(is_there("d/extra"));
    EXPECT_EQ(restore(false).items_deleted, 4U);
    EXPECT_EQ(names_at("d"), (std::vector<std::string>{"file", "link"}));
    EXPECT_EQ(names_at("."), (std::vector<std::string>{"beside", "d", "top"}));
    EXPECT_EQ(stat_of("d").st_mtim.tv_sec, 1'000'000'000);
}

TEST_F(FolderRebuildTest, deletes_others_in_empty_folders_and_on_the_way) {
    make_folder("a/gone");
    make_folder("b/c/gone");
    make_folder("b/d");
    write_text("b/d/gone", "x");
    RebuildRequest asked = request(Existing::in_place);
    asked.may_delete = anything;
    const auto rebuild = rebuild_into_folder(asked);
    for (const char* path : {"/", "/a", "/b", "/z"}) put(*rebuild, folder_item(path));
    for (const char* path : {"/b/c", "/b/d"}) put(*rebuild, folder_item(path));
    put(*rebuild, file_item("/b/d/file", "x"), "x");
    EXPECT_EQ(rebuild->finish().items_deleted, 3U);
    EXPECT_TRUE(std::filesystem::is_empty(at("a")));
    EXPECT_TRUE(std::filesystem::is_empty(at("b/c")));
    EXPECT_EQ(names_at("b/d"), std::vector<std::string>{"file"});
}

TEST_F(FolderRebuildTest, deletes_nothing_of_a_folder_that_comes_after_a_larger_one) {
    make_folder("a/img");
    write_text("a/img/gone", "x");
    make_folder("img");
    RebuildRequest asked = request(Existing::in_place);
    asked.may_delete = anything;
    const auto rebuild = rebuild_into_folder(asked);
    // As a selection gives them: "/a" only when the first of what is wanted in it comes.
    for (const char* path : {"/", "/img", "/a", "/a/img"}) put(*rebuild, folder_item(path, 0750));
    put(*rebuild, file_item("/a/img/file", "1"), "1");
    put(*rebuild, file_item("/img/file", "2"), "2");
    const Rebuild::Summary summary = rebuild->finish();
    EXPECT_EQ(summary.items_deleted, 1U);
    EXPECT_EQ(names_at("a/img"), std::vector<std::string>{"file"});
    EXPECT_EQ(names_at("img"), std::vector<std::string>{"file"});
    for (const char* path : {"a", "img"}) {
        EXPECT_EQ(stat_of(path).st_mtim.tv_sec, 1'000'000'000) << path;
        EXPECT_EQ(stat_of(path).st_mode & 07777, 0750U) << path;
    }
}

TEST_F(FolderRebuildTest, replaces_no_symlink_by_a_folder_that_only_leads) {
    const std::string elsewhere = outside_.path() + "/elsewhere";
    std::filesystem::create_directories(elsewhere + "/e");
    make_folder("");
    std::filesystem::create_symlink(elsewhere, at("d"));
    const auto rebuild = rebuild_into_folder(request(Existing::overwrite));
    Item leading = folder_item("/d");
    mark_wholeness(leading, Wholeness::leading);
    put(*rebuild, leading);
    put(*rebuild, folder_item("/d/e"));
    put(*rebuild, file_item("/d/e/file", "x"), "x");
    const Rebuild::Summary summary = rebuild->finish();
    ASSERT_FALSE(summary.findings.empty());
    EXPECT_EQ(summary.findings[0].path, "/d");
    EXPECT_NE(summary.findings[0].text.find("symlink"), std::string::npos);
    EXPECT_EQ(std::filesystem::read_symlink(at("d")), elsewhere);
    EXPECT_TRUE(std::filesystem::is_empty(elsewhere + "/e"));
}

TEST_F(FolderRebuildTest, deletes_nothing_that_is_to_be_spared_however_deep_it_lies) {
    restore_small(request());
    write_text("d/extra", "x");
    write_text("d/spared", "x");
    make_folder("d/folder/deep/empty");
    write_text("d/folder/gone", "x");
    write_text("d/folder/deep/gone", "x");
    write_text("d/folder/deep/spared", "x");
    make_folder("d/other/deep");
    for (const char* strip : {"", "/base"}) {
        RebuildRequest asked = request(Existing::in_place);
        asked.strip = strip;
        std::vector<std::string> asked_about;
        asked.may_delete = [&](const std::string& path) {
            asked_about.push_back(path);
            return !path.ends_with("/spared");
        };
        const auto restore = [&](bool dry_run) {
            asked.dry_run = dry_run;
            const auto rebuild = rebuild_into_folder(asked);
            put(*rebuild, folder_item(asked.strip + "/d", 0750));
            put(*rebuild, file_item(asked.strip + "/d/file", "hello"), "hello");
            return rebuild->finish();
        };
        const std::uint64_t forecast = restore(true).items_deleted;
        EXPECT_EQ(restore(false).items_deleted, forecast);
        EXPECT_EQ(std::ranges::count(asked_about, asked.strip + "/d/folder/deep/spared"), 2);
        EXPECT_EQ(names_at("d"), (std::vector<std::string>{"file", "folder", "spared"}));
        EXPECT_EQ(names_at("d/folder"), std::vector<std::string>{"deep"});
        EXPECT_EQ(names_at("d/folder/deep"), std::vector<std::string>{"spared"});
    }
}

TEST_F(FolderRebuildTest, links_further_names_of_a_file) {
    const auto rebuild = rebuild_into_folder(request());
    put(*rebuild, folder_item("/d"));
    const Rebuild::Ticket first = rebuild->begin_item(linked("/one"));
    EXPECT_TRUE(first.wants_content);
    EXPECT_FALSE(rebuild->begin_item(linked("/two")).wants_content);
    EXPECT_FALSE(rebuild->begin_item(linked("/d/three")).wants_content);
    rebuild->write(first, 0, as_bytes("shared"));
    rebuild->end_item(first);
    EXPECT_EQ(rebuild->finish().items_written, 4U);
    EXPECT_EQ(stat_of("one").st_nlink, 3U);
    EXPECT_EQ(stat_of("one").st_ino, stat_of("d/three").st_ino);
    EXPECT_EQ(text_of("two"), "shared");
}

TEST_F(FolderRebuildTest, leaves_no_name_of_a_file_whose_content_is_lost) {
    const auto rebuild = rebuild_into_folder(request());
    const Rebuild::Ticket first = rebuild->begin_item(linked("/one"));
    rebuild->begin_item(linked("/two"));
    const Rebuild::Ticket alone = rebuild->begin_item(file_item("/two and a half", "x"));
    rebuild->write(first, 0, as_bytes("sha"));
    rebuild->abandon_item(first, {"/one", Finding::Kind::unreadable, "its bytes are damaged"});
    rebuild->abandon_item(alone, {"/two and a half", Finding::Kind::unreadable, "its bytes are damaged"});
    EXPECT_FALSE(rebuild->begin_item(linked("/ unsorted three")).wants_content);
    const Rebuild::Summary summary = rebuild->finish();
    EXPECT_EQ(summary.items_written, 0U);
    EXPECT_EQ(summary.findings.size(), 4U);
    EXPECT_TRUE(std::filesystem::is_empty(target_));
}

TEST_F(FolderRebuildTest, keeps_a_file_that_was_there_when_its_content_is_lost) {
    std::string text(300'000, 'a');
    make_folder("");
    write_text("equal", text);
    write_text("changed", text);
    write_text("other name", text);
    std::filesystem::create_hard_link(at("other name"), at("linked"));
    text[299'999] = 'z';
    for (const Existing existing : {Existing::in_place, Existing::overwrite}) {
        const auto rebuild = rebuild_into_folder(request(existing));
        const auto lose = [&](const std::string& path, std::size_t from) {
            const Rebuild::Ticket ticket = rebuild->begin_item(file_item(path, text));
            rebuild->write(ticket, from, as_bytes(text).subspan(from));
            rebuild->abandon_item(ticket, {path, Finding::Kind::unreadable, "its bytes are damaged"});
        };
        const auto before = names_at(".");
        const std::vector<std::string> bytes_before = {text_of("equal"), text_of("linked"), text_of("other name")};
        const struct stat stat = stat_of("equal");
        rebuild->abandon_item(rebuild->begin_item(file_item("/equal", text)), {"/equal", {}, "damaged"});
        lose("/linked", 0);
        lose("/changed", 100'000);
        const Rebuild::Summary summary = rebuild->finish();
        EXPECT_EQ(names_at("."), before);
        EXPECT_EQ((std::vector<std::string>{text_of("equal"), text_of("linked"), text_of("other name")}), bytes_before);
        EXPECT_EQ(stat_of("equal").st_ctim.tv_nsec, stat.st_ctim.tv_nsec);
        EXPECT_EQ(stat_of("linked").st_nlink, 2U);
        EXPECT_EQ(summary.items_written, 0U);
        ASSERT_EQ(summary.findings.size(), 3U);
        EXPECT_NE(summary.findings[0].text.find("0 of its bytes were overwritten"), std::string::npos);
        EXPECT_NE(summary.findings[1].text.find("0 of its bytes were overwritten"), std::string::npos);
        const bool wrote = existing == Existing::in_place;
        EXPECT_EQ(text_of("changed").back(), wrote ? 'z' : 'a');
        EXPECT_EQ(summary.findings[2].text.find(" 0 of its bytes") == std::string::npos, wrote);
        write_text("changed", std::string(300'000, 'a'));
    }
}

TEST_F(FolderRebuildTest, keeps_all_names_of_a_file_when_its_content_is_lost) {
    make_folder("d");
    write_text("one", "as it was");
    std::filesystem::create_hard_link(at("one"), at("two"));
    write_text("d/three", "by itself");
    const auto rebuild = rebuild_into_folder(request(Existing::in_place));
    const Rebuild::Ticket first = rebuild->begin_item(linked("/one"));
    rebuild->begin_item(linked("/two"));
    put(*rebuild, folder_item("/d"));
    rebuild->begin_item(linked("/d/three"));
    rebuild->write(first, 0, as_bytes("sha"));
    rebuild->abandon_item(first, {"/one", Finding::Kind::unreadable, "its bytes are damaged"});
    EXPECT_EQ(rebuild->finish().findings.size(), 3U);
    EXPECT_EQ(text_of("one"), "as it was");
    EXPECT_EQ(text_of("two"), "as it was");
    EXPECT_EQ(text_of("d/three"), "by itself");
    EXPECT_EQ(stat_of("one").st_nlink, 2U);
    EXPECT_EQ(stat_of("d").st_mtim.tv_sec, 1'000'000'000);
    EXPECT_EQ(names_at("."), (std::vector<std::string>{"d", "one", "two"}));
}

TEST_F(FolderRebuildTest, replaces_a_file_only_by_a_whole_one_and_leaves_nothing_beside_it) {
    make_folder("");
    write_text("file", "as it was");
    for (int i = 0; i < 2; ++i) {  // what was killed leaves its file, and the next one takes it away
        {
            const auto rebuild = rebuild_into_folder(request(Existing::overwrite));
            const Rebuild::Ticket ticket = rebuild->begin_item(file_item("/file", "whole"));
            rebuild->write(ticket, 0, as_bytes("who"));
            EXPECT_EQ(text_of("file"), "as it was");
        }
        EXPECT_EQ(names_at("."), std::vector<std::string>{"file"});
        write_text(name_until_complete("file"), "of one that was killed");
    }
    const auto rebuild = rebuild_into_folder(request(Existing::overwrite));
    put(*rebuild, file_item("/file", "whole"), "whole");
    rebuild->finish();
    EXPECT_EQ(text_of("file"), "whole");
    EXPECT_EQ(names_at("."), std::vector<std::string>{"file"});
}

TEST_F(FolderRebuildTest, mends_hard_links_in_place) {
    make_folder("");
    write_text("one", "shared");
    write_text("two", "another inode");
    for (int i = 0; i < 2; ++i) {
        const auto rebuild = rebuild_into_folder(request(Existing::in_place));
        put(*rebuild, linked("/one"), "shared");
        put(*rebuild, linked("/two"), "shared");
        EXPECT_EQ(rebuild->finish().items_unchanged, i == 0 ? 0U : 2U);
        EXPECT_EQ(stat_of("one").st_ino, stat_of("two").st_ino);
        EXPECT_EQ(text_of("two"), "shared");
    }
}

TEST_F(FolderRebuildTest, a_name_that_cannot_be_a_link_is_a_copy) {
    make_folder("d");
    const auto restore = [&] {
        const auto rebuild = rebuild_into_folder(request(Existing::in_place));
        const Rebuild::Ticket first = rebuild->begin_item(linked("/one"));
        put(*rebuild, folder_item("/d"));
        // The one that waits for the content is copied, the one that comes later is asked for.
        const bool is_new = first.wants_content;
        EXPECT_FALSE(is_new && rebuild->begin_item(linked("/d/early")).wants_content);
        if (is_new) {
            rebuild->write(first, 0, as_bytes("shared"));
            rebuild->end_item(first);
        } else {
            put(*rebuild, linked("/d/early"), "shared");
        }
        put(*rebuild, linked("/d/late"), "shared");
        const Rebuild::Summary summary = rebuild->finish();
        ASSERT_EQ(summary.findings.size(), 1U);
        EXPECT_NE(summary.findings[0].text.find("the file is a copy"), std::string::npos);
        for (const std::string path : {"one", "d/early", "d/late"}) EXPECT_EQ(text_of(path), "shared") << path;
        EXPECT_EQ(names_at("d"), (std::vector<std::string>{"early", "late"}));
        EXPECT_EQ(stat_of("d").st_mtim.tv_sec, 1'000'000'000);
    };
    // With a file system of its own in the target, that nobody else sees.
    EXPECT_EXIT(
        {
            mount_for_this_process({at("d")});
            restore();
            restore();
            write_text("d/early", "of another day");
            write_text("d/late", "of another day");
            restore();
            std::exit(HasFailure() ? 1 : 0);
        },
        testing::ExitedWithCode(0), "");
}

TEST_F(FolderRebuildTest, strips_the_folder_whose_contents_go_to_the_target) {
    RebuildRequest asked = request();
    asked.strip = "/srv/data";
    const auto rebuild = rebuild_into_folder(asked);
    put(*rebuild, folder_item("/"));
    put(*rebuild, folder_item("/srv"));
    put(*rebuild, folder_item("/srv/data", 0711));
    put(*rebuild, file_item("/srv/data/file", "x"), "x");
    put(*rebuild, folder_item("/srv/data/sub"));
    rebuild->finish();
    EXPECT_EQ(names_at("."), (std::vector<std::string>{"file", "sub"}));
    EXPECT_EQ(stat_of(".").st_mode & 07777, 0711U);
    std::filesystem::remove_all(target_);
    asked.strip = "/srv/data/file";
    const auto one = rebuild_into_folder(asked);
    put(*one, file_item("/srv/data/file", "x"), "x");
    one->finish();
    EXPECT_EQ(names_at("."), std::vector<std::string>{"file"});
}

TEST_F(FolderRebuildTest, makes_folders_that_no_item_stands_for) {
    const auto rebuild = rebuild_into_folder(request());
    put(*rebuild, file_item("/a/b/c/file", "x"), "x");
    put(*rebuild, file_item("/a/b/d/file", "y"), "y");
    put(*rebuild, file_item("relative.sql", "z"), "z");
    EXPECT_EQ(rebuild->finish().items_written, 3U);
    EXPECT_EQ(text_of("a/b/c/file"), "x");
    EXPECT_EQ(text_of("a/b/d/file"), "y");
    EXPECT_EQ(text_of("relative.sql"), "z");
}

TEST_F(FolderRebuildTest, puts_nothing_readable_under_a_folder_before_it_is_finished) {
    const auto rebuild = rebuild_into_folder(request());
    put(*rebuild, folder_item("/d", 0755));
    put(*rebuild, file_item("/d/file", "x"), "x");
    const Rebuild::Ticket ticket = rebuild->begin_item(file_item("/d/later", "y"));
    put(*rebuild, folder_item("/d/sub", 0555));
    put(*rebuild, file_item("/d/sub/file", "z"), "z");
    EXPECT_EQ(stat_of("d").st_mode & 07777, 0700U);
    rebuild->write(ticket, 0, as_bytes("y"));
    rebuild->end_item(ticket);
    rebuild->finish();
    EXPECT_EQ(stat_of("d").st_mode & 07777, 0755U);
    EXPECT_EQ(stat_of("d/sub").st_mode & 07777, 0555U);
    ASSERT_EQ(::chmod(at("d/sub").c_str(), 0755), 0);
}

TEST_F(FolderRebuildTest, inherits_nothing_from_the_target) {
    make_folder("");
    ASSERT_EQ(::chmod(target_.c_str(), 02755), 0);
    Bytes acl;
    ByteWriter writer(acl);
    writer.u32(2);
    for (const std::array<std::uint32_t, 3>& entry :
         {std::array{1U, 7U, ~0U}, {2U, 7U, 4321U}, {4U, 5U, ~0U}, {16U, 7U, ~0U}, {32U, 5U, ~0U}}) {
        writer.u16(static_cast<std::uint16_t>(entry[0]));
        writer.u16(static_cast<std::uint16_t>(entry[1]));
        writer.u32(entry[2]);
    }
    ASSERT_EQ(::setxattr(target_.c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0), 0);
    restore_small(request());
    EXPECT_EQ(stat_of("d").st_mode & 07777, 0750U);
    EXPECT_EQ(stat_of("d/file").st_mode & 07777, 0644U);
    EXPECT_LT(::getxattr(at("d/file").c_str(), "system.posix_acl_access", nullptr, 0), 0);
    EXPECT_LT(::getxattr(at("d").c_str(), "system.posix_acl_default", nullptr, 0), 0);
}

TEST_F(FolderRebuildTest, writes_many_open_files_in_any_order_with_few_descriptors) {
    const auto rebuild = rebuild_into_folder(request());
    const std::size_t count = RebuildTarget::open_fds_max + 300;
    std::vector<Rebuild::Ticket> tickets;
    for (std::size_t i = 0; i < count; ++i)
        tickets.push_back(rebuild->begin_item(file_item("/" + std::to_string(1'000'000 + i), "abcdef", 0444)));
    for (const Rebuild::Ticket& ticket : tickets) rebuild->write(ticket, 3, as_bytes("def"));
    for (const Rebuild::Ticket& ticket : tickets) rebuild->write(ticket, 0, as_bytes("abc"));
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (std::size_t i = t; i < count; i += 4) rebuild->end_item(tickets[i]);
        });
    }
    threads.clear();
    EXPECT_EQ(rebuild->finish().items_written, count);
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(text_of(std::to_string(1'000'000 + i)), "abcdef");
}

TEST_F(FolderRebuildTest, restores_folders_deeper_than_any_path_may_be_long) {
    constexpr int depth = 1200;
    const auto rebuild = rebuild_into_folder(request());
    std::string path;
    for (int i = 0; i < depth; ++i) {
        path += "/deep";
        put(*rebuild, folder_item(path, 0711));
    }
    put(*rebuild, file_item(path + "/file", "x"), "x");
    put(*rebuild, folder_item("/deep/z", 0711));
    const Rebuild::Summary summary = rebuild->finish();
    EXPECT_EQ(summary.items_written, depth + 2U);
    EXPECT_TRUE(summary.findings.empty());
    Fd at(::open(target_.c_str(), O_PATH | O_CLOEXEC));
    struct stat stat {};
    for (int i = 0; i < depth; ++i) {
        at = Fd(::openat(at.get(), "deep", O_PATH | O_CLOEXEC));
        ASSERT_TRUE(at);
        ASSERT_EQ(::fstat(at.get(), &stat), 0);
        ASSERT_EQ(stat.st_mode & 07777, 0711U);
        ASSERT_EQ(stat.st_mtim.tv_sec, 1'000'000'000);
    }
    EXPECT_EQ(::faccessat(at.get(), "file", R_OK, 0), 0);
}

TEST_F(FolderRebuildTest, forecasts_in_a_dry_run_what_it_would_do_in_place) {
    restore_small(request());
    write_text("d/file", "changed");
    std::filesystem::remove(at("d/link"));
    RebuildRequest dry = request(Existing::in_place);
    dry.dry_run = true;
    const Rebuild::Summary forecast = restore_small(dry);
    EXPECT_EQ(text_of("d/file"), "changed");
    EXPECT_FALSE(is_there("d/link"));
    const Rebuild::Summary done = restore_small(request(Existing::in_place));
    EXPECT_EQ(forecast.items_written, done.items_written);
    EXPECT_EQ(forecast.items_unchanged, done.items_unchanged);
}

TEST_F(FolderRebuildTest, says_once_what_it_may_not_do) {
    if (own_uid() == 0) {
        // Root may do all of it; what it cannot is give attributes that no file system knows.
        const auto rebuild = rebuild_into_folder(request());
        for (int i = 0; i < 100; ++i) {
            Item item = file_item("/" + std::to_string(100 + i), "x");
            item.attributes = {{"nonsense.attribute", "v"}};
            put(*rebuild, item, "x");
        }
        const Rebuild::Summary summary = rebuild->finish();
        EXPECT_EQ(summary.items_written, 100U);
        ASSERT_EQ(summary.findings.size(), 1U);
        EXPECT_NE(summary.findings[0].text.find("100 items"), std::string::npos);
        return;
    }
    const auto rebuild = rebuild_into_folder(request());
    for (int i = 0; i < 100; ++i) {
        Item item = file_item("/" + std::to_string(100 + i), "x", 04755);
        item.uid = 0;
        put(*rebuild, item, "x");
    }
    const Rebuild::Summary summary = rebuild->finish();
    ASSERT_EQ(summary.findings.size(), 1U);
    EXPECT_NE(summary.findings[0].text.find("100 items"), std::string::npos);
    EXPECT_EQ(stat_of("100").st_mode & 07777, 0755U);
}

TEST_F(FolderRebuildTest, tells_where_times_are_kept_less_exactly) {
    make_folder("seconds");
    EXPECT_EXIT(
        {
            mount_for_this_process({at("seconds")}, "mqueue");
            const auto rebuild = rebuild_into_folder(request(Existing::in_place));
            for (const char* path : {"/one", "/seconds/one", "/seconds/two"}) put(*rebuild, file_item(path, ""));
            const Rebuild::Summary summary = rebuild->finish();
            EXPECT_EQ(summary.findings.size(), 1U);
            for (const Finding& finding : summary.findings) {
                EXPECT_EQ(finding.items, 2U);
                EXPECT_TRUE(finding.text.starts_with("times cannot be set")) << finding.text;
            }
            std::exit(HasFailure() ? 1 : 0);
        },
        testing::ExitedWithCode(0), "");
}

TEST_F(FolderRebuildTest, ends_when_it_is_told_to_stop) {
    const auto rebuild = rebuild_into_folder(request());
    stop_.request(SIGINT);
    EXPECT_EQ(error_of([&] { rebuild->begin_item(folder_item("/d")); }).code(), Code::cancelled);
}

}  // namespace holdfast
