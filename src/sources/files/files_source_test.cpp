#include "sources/files/files_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "source/partial_mark.h"
#include "source/test_help.h"
#include "sources/files/capture.h"

namespace holdfast {

namespace {

struct Seen {
    Item item;
    std::string version;
    std::string text;
    std::uint64_t hole_bytes = 0;
};

// The clock of this machine, where the files' is another one's.
timespec by(std::int64_t seconds) {
    timespec now = files::now_of_file_times();
    now.tv_sec += seconds;
    return now;
}

class FilesSourceTest : public testing::Test {
protected:
    std::string at(const std::string& path) const { return top_ + "/" + path; }
    void folder(const std::string& path) const { std::filesystem::create_directories(at(path)); }
    void file(const std::string& path, const std::string& text = "x") const {
        std::filesystem::create_directories(std::filesystem::path(at(path)).parent_path());
        std::ofstream(at(path)) << text;
    }
    std::unique_ptr<Source> source(SourceOptions options = {}) const {
        if (!options.contains("paths") && !options.contains("argument")) options["paths"] = {top_};
        return files_source_type.make("test", options);
    }

    // Everything below the top, by its path in it; "" is the top itself.
    std::map<std::string, Seen> capture(const SourceOptions& options = {}) {
        std::map<std::string, Seen> out;
        const auto from = source(options);
        const auto capture = from->begin({world_});
        Batch batch;
        while (capture->next(batch)) {
            for (const Batch::Entry& entry : batch.entries) {
                Seen seen{entry.item, entry.version, "", 0};
                const auto finding = capture->complete(batch, seen.item);
                EXPECT_FALSE(finding) << finding->path << ": " << finding->text;
                if (entry.item.kind == ItemKind::file) read(*capture, batch, entry, seen);
                if (is_within(entry.item.path, top_))
                    out[entry.item.path.substr(std::min(top_.size() + 1, entry.item.path.size()))] = seen;
                all_.insert(entry.item.path);
            }
        }
        CaptureSummary summary = capture->finish();
        findings_ = std::move(summary.findings);
        left_out_ = std::move(summary.left_out);
        return out;
    }
    static void read(Capture& capture, const Batch& batch, const Batch::Entry& entry, Seen& seen) {
        const Capture::Opened opened = capture.open(batch, entry);
        ASSERT_TRUE(opened.data) << entry.item.path;
        Bytes buffer(100'000);
        while (true) {
            const ItemData::Piece piece = opened.data->read(buffer);
            if (piece.bytes == 0 && piece.hole == 0) break;
            seen.text += as_text(ByteView(buffer).first(piece.bytes));
            seen.text.append(piece.hole, '\0');
            seen.hole_bytes += piece.hole;
        }
        EXPECT_FALSE(opened.data->verdict());
    }
    std::vector<std::string> paths(const SourceOptions& options = {}) {
        std::vector<std::string> out;
        for (const auto& [path, seen] : capture(options)) out.push_back(path);
        return out;
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

    using Names = std::vector<std::string>;
    const TemporaryFolder outside_;
    const std::string top_ = std::filesystem::canonical(outside_.path()).string() + "/top";
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};
    std::vector<Finding> findings_;
    std::vector<std::string> left_out_;
    std::set<std::string> all_;
};

}  // namespace

TEST_F(FilesSourceTest, hands_out_the_folders_that_lead_to_a_path) {
    file("a", "hello");
    const auto seen = capture();
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen.at("a").text, "hello");
    for (std::string path = top_; path != "/"; path = split_path(path).first) EXPECT_TRUE(all_.contains(path)) << path;
    EXPECT_TRUE(all_.contains("/"));
    EXPECT_FALSE(is_partial(seen.at("").item));
}

TEST_F(FilesSourceTest, captures_several_paths_and_each_thing_once) {
    file("a/1");
    file("b/2");
    file("c/3");
    file("single");
    const SourceOptions options{{"paths", {at("b"), at("single"), at("a/1"), at("a"), at("a"), at("b/2")}}};
    EXPECT_EQ(paths(options), (Names{"", "a", "a/1", "b", "b/2", "single"}));
    EXPECT_TRUE(findings_.empty());
}

TEST_F(FilesSourceTest, marks_folders_that_only_lead_to_a_path) {
    file("a/1");
    file("a/2");
    const auto seen = capture({{"paths", {at("a/1")}}});
    EXPECT_TRUE(is_partial(seen.at("").item));
    EXPECT_TRUE(is_partial(seen.at("a").item));
    EXPECT_EQ(seen.size(), 3U);
    const auto whole = capture({{"paths", {at("a")}}});
    EXPECT_FALSE(is_partial(whole.at("a").item));
    EXPECT_NE(seen.at("a").version, whole.at("a").version);
}

TEST_F(FilesSourceTest, says_what_is_missing_and_fails_when_all_is) {
    file("a");
    capture({{"paths", {at("a"), at("gone")}}});
    ASSERT_EQ(findings_.size(), 1U);
    EXPECT_EQ(findings_[0].kind, Finding::Kind::vanished);
    EXPECT_EQ(findings_[0].path, at("gone"));
    const Error error = error_of([&] { capture({{"paths", {at("gone"), at("a/below a file")}}}); });
    EXPECT_EQ(error.code(), Code::source_failed);
    EXPECT_EQ(error.exit_status(), 15);
}

TEST_F(FilesSourceTest, follows_symlinks_on_the_way_but_not_at_the_end) {
    file("real/data/1");
    std::filesystem::create_symlink(at("real"), at("link"));
    EXPECT_EQ(paths({{"paths", {at("link/data")}}}), (Names{"", "link", "link/data", "link/data/1"}));
    const auto seen = capture({{"paths", {at("link")}}});
    EXPECT_EQ(seen.at("link").item.kind, ItemKind::symlink);
    EXPECT_EQ(seen.at("link").item.link, at("real"));
    EXPECT_EQ(seen.size(), 2U);
    // Whoever named it may have meant what it leads to.
    ASSERT_EQ(findings_.size(), 1U);
    EXPECT_NE(findings_[0].text.find(at("real")), std::string::npos);
    capture({{"paths", {top_, at("link/data")}}});
    ASSERT_EQ(findings_.size(), 1U);
    EXPECT_EQ(findings_[0].kind, Finding::Kind::unsupported);
}

TEST_F(FilesSourceTest, leaves_out_what_its_options_say) {
    file("a.tmp");
    file("keep/b.tmp");
    file("keep/c");
    file("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# by a program");
    file("cache/data");
    file("no cache/CACHEDIR.TAG", "something else");
    file("no cache/data");
    file("marked/.nobackup");
    file("marked/sub/data");
    file("large", std::string(5000, 'x'));
    file("patterns", "*.tmp\n!b.tmp\n");
    const Names all = paths();
    EXPECT_EQ(all.size(), 17U);
    const Names expected{"",
                         "cache",
                         "cache/CACHEDIR.TAG",
                         "keep",
                         "keep/b.tmp",
                         "keep/c",
                         "marked",
                         "marked/.nobackup",
                         "no cache",
                         "no cache/CACHEDIR.TAG",
                         "no cache/data",
                         "patterns"};
    const SourceOptions options{{"paths", {top_}},
                                {"exclude_from", {at("patterns")}},
                                {"exclude_caches", {"true"}},
                                {"exclude_larger", {"4K"}},
                                {"exclude_if_present", {".nobackup"}}};
    EXPECT_EQ(paths(options), expected);
    const auto seen = capture(options);
    EXPECT_TRUE(is_partial(seen.at("cache").item));
    EXPECT_TRUE(is_partial(seen.at("marked").item));
    EXPECT_FALSE(is_partial(seen.at("no cache").item));
    EXPECT_TRUE(is_partial(seen.at("").item));
    EXPECT_FALSE(is_partial(seen.at("keep").item));
    EXPECT_EQ(left_out_, Names{at("large")});
    const auto others = capture({{"paths", {top_}}, {"exclude", {"*.tmp"}}});
    EXPECT_EQ(wholeness_of(others.at("keep").item), Wholeness::in_part);
    EXPECT_NE(others.at("keep").version, seen.at("keep").version);
    EXPECT_NE(others.at("keep").version, capture({{"paths", {top_}}, {"exclude", {"*.tm"}}}).at("keep").version);
    EXPECT_NE(seen.at("keep").version, capture().at("keep").version);
    EXPECT_EQ(paths({{"paths", {top_}}, {"exclude", {top_ + "/*", "!keep"}}}),
              (Names{"", "keep", "keep/b.tmp", "keep/c"}));
    EXPECT_EQ(error_of([&] { capture({{"paths", {top_}}, {"exclude_from", {at("gone")}}}); }).code(), Code::config);
}

TEST_F(FilesSourceTest, goes_into_other_file_systems_where_a_path_says_so) {
    folder("other");
    folder("third");
    const auto look = [&] {
        for (const char* name : {"other/given/deep/1", "other/beside/2", "other/given 2/3", "third/4", "5"}) file(name);
        const SourceOptions one{{"one_file_system", {"true"}}, {"paths", {top_}}};
        EXPECT_EQ(paths(one), (Names{"", "5", "other", "third"}));
        SourceOptions given = one;
        for (const char* name : {"other/given/deep", "other/given 2"}) given["paths"].push_back(at(name));
        const auto seen = capture(given);
        EXPECT_TRUE(findings_.empty());
        Names found;
        for (const auto& [path, each] : seen) found.push_back(path);
        EXPECT_EQ(found, (Names{"", "5", "other", "other/given", "other/given 2", "other/given 2/3", "other/given/deep",
                                "other/given/deep/1", "third"}));
        // What of a folder was not captured is not to be deleted by a restore.
        for (const char* path : {"other", "other/given", "third"})
            EXPECT_EQ(wholeness_of(seen.at(path).item), Wholeness::in_part) << path;
        for (const char* path : {"", "other/given/deep", "other/given 2"})
            EXPECT_EQ(wholeness_of(seen.at(path).item), Wholeness::whole) << path;
        given["paths"].push_back(at("third"));
        const auto more = capture(given);
        EXPECT_EQ(wholeness_of(more.at("third").item), Wholeness::whole);
        EXPECT_NE(more.at("third").version, seen.at("third").version);
        EXPECT_TRUE(more.contains("third/4"));
    };
    EXPECT_EXIT(
        {
            mount_for_this_process({at("other"), at("third")});
            look();
            std::exit(HasFailure() ? 1 : 0);
        },
        testing::ExitedWithCode(0), "");
}

TEST_F(FilesSourceTest, refuses_options_that_make_no_sense) {
    const auto code_of = [&](const SourceOptions& options) {
        return error_of([&] { files_source_type.make("x", options); }).code();
    };
    EXPECT_EQ(code_of({}), Code::config);
    EXPECT_EQ(code_of({{"paths", {""}}}), Code::config);
    EXPECT_EQ(code_of({{"paths", {"/a"}}, {"exclude_larger", {"big"}}}), Code::config);
    EXPECT_EQ(code_of({{"paths", {"/a"}}, {"exclude_if_present", {"a/b"}}}), Code::config);
    EXPECT_EQ(source({{"argument", {"/etc/../usr"}}})->describe(), Names{"/usr"});
}

TEST_F(FilesSourceTest, keeps_tree_order_over_large_and_nested_folders) {
    constexpr std::size_t files = 5000;
    folder("large");
    for (std::size_t i = 0; i < files; ++i) file("large/" + std::to_string(i * 7919 % 10'007));
    for (int i = 0; i < 100; ++i) file("large/sub " + std::to_string(i) + "/x/y");
    for (const char* name : {"a", "a!", "a-b", "ab", "a b"}) file(std::string("names/") + name + "/in");
    const auto from = source();
    const auto capture = from->begin({world_});
    Batch batch;
    std::string before;
    std::size_t items = 0;
    std::size_t batches = 0;
    while (capture->next(batch)) {
        ++batches;
        ASSERT_FALSE(batch.entries.empty());
        for (const Batch::Entry& entry : batch.entries) {
            ASSERT_EQ(batch.folder, split_path(entry.item.path).first);
            const std::string key = tree_key(entry.item.path);
            ASSERT_LT(before, key);
            before = key;
            items += is_within(entry.item.path, top_) ? 1U : 0U;
        }
    }
    EXPECT_EQ(items, files + 2U + 100U * 3 + 1U + 5U * 2);
    EXPECT_GE(batches, 100U * 2 + 3);
    EXPECT_TRUE(capture->finish().findings.empty());
}

TEST_F(FilesSourceTest, knows_a_changed_file_by_its_version) {
    file("same");
    file("content");
    file("mode");
    file("linked");
    const auto before = capture();
    file("content", "y");
    ASSERT_EQ(::chmod(at("mode").c_str(), 0600), 0);
    std::filesystem::create_hard_link(at("linked"), at("linked too"));
    const auto after = capture();
    EXPECT_EQ(before.at("same").version, after.at("same").version);
    for (const char* name : {"content", "mode", "linked"})
        EXPECT_NE(before.at(name).version, after.at(name).version) << name;
    EXPECT_FALSE(before.at("same").version.empty());
    EXPECT_LE(before.at("same").version.size(), 55U);
}

TEST_F(FilesSourceTest, never_takes_a_change_within_one_tick_for_none) {
    for (int i = 0; i < 20; ++i) {
        file("file", "1");
        const auto before = capture();
        const struct timespec old[2] = {{0, UTIME_OMIT},
                                        {before.at("file").item.mtime_s, before.at("file").item.mtime_ns}};
        file("file", "2");
        ASSERT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), old, 0), 0);
        EXPECT_NE(before.at("file").version, capture().at("file").version);
    }
}

TEST_F(FilesSourceTest, takes_nothing_for_unchanged_by_the_stamps_of_a_clock_that_is_ahead) {
    file("file");
    const auto has_version = [&](timespec (*now)()) {
        files::WalkOptions options;
        options.now = now;
        files::FilesCapture capture(world_, "test", {top_}, options);
        Batch batch;
        while (capture.next(batch))
            for (const Batch::Entry& entry : batch.entries)
                if (entry.item.path == at("file")) return !entry.version.empty();
        ADD_FAILURE() << "it was not seen";
        return false;
    };
    EXPECT_TRUE(has_version(files::now_of_file_times));
    for (timespec (*const behind)() : {+[] { return by(-3600); }, +[] { return by(-2); }})
        EXPECT_FALSE(has_version(behind));
    EXPECT_TRUE(has_version(+[] { return by(3600); }));
}

TEST_F(FilesSourceTest, finds_out_that_a_file_without_a_version_changed_since_it_was_listed) {
    file("grows", "1");
    file("stays", "1");
    files::WalkOptions options;
    options.now = +[] { return by(-3600); };
    files::FilesCapture capture(world_, "test", {top_}, options);
    std::map<std::string, bool> changed;
    Batch batch;
    while (capture.next(batch))
        for (const Batch::Entry& entry : batch.entries) {
            if (entry.item.kind != ItemKind::file) continue;
            ASSERT_TRUE(entry.version.empty());
            if (entry.item.path == at("grows")) file("grows", "longer");
            const Capture::Opened opened = capture.open(batch, entry);
            Bytes buffer(100);
            while (opened.data->read(buffer).bytes > 0) {
            }
            changed[entry.item.path] = opened.data->verdict().has_value();
        }
    EXPECT_EQ(changed, (std::map<std::string, bool>{{at("grows"), true}, {at("stays"), false}}));
}

TEST_F(FilesSourceTest, breaks_off_a_file_that_cannot_be_read) {
    // Memory at address 0, where nothing lies.
    const std::string path = "/proc/self/mem";
    const auto from = source({{"paths", {path}}});
    const auto capture = from->begin({world_});
    std::optional<Finding> finding;
    Batch batch;
    while (capture->next(batch))
        for (const Batch::Entry& entry : batch.entries) {
            if (entry.item.path != path) continue;
            const Capture::Opened opened = capture->open(batch, entry);
            Bytes buffer(100);
            EXPECT_TRUE(opened.data->read(buffer).is_broken);
            finding = opened.data->verdict();
        }
    ASSERT_TRUE(finding);
    EXPECT_EQ(finding->kind, Finding::Kind::unreadable);
}

TEST_F(FilesSourceTest, finds_out_that_a_file_changes_while_it_is_read) {
    file("grows", std::string(1000, 'a'));
    file("shrinks", std::string(1000, 'a'));
    file("touched", std::string(1000, 'a'));
    const auto from = source();
    const auto capture = from->begin({world_});
    Batch batch;
    std::map<std::string, std::pair<std::size_t, bool>> read;
    while (capture->next(batch)) {
        for (const Batch::Entry& entry : batch.entries) {
            if (entry.item.kind != ItemKind::file) continue;
            const std::string name(split_path(entry.item.path).second);
            const Capture::Opened opened = capture->open(batch, entry);
            ASSERT_TRUE(opened.data);
            if (name == "grows") std::ofstream(entry.item.path, std::ios::app) << std::string(5000, 'b');
            if (name == "shrinks") std::filesystem::resize_file(entry.item.path, 10);
            if (name == "touched") {
                ASSERT_EQ(::chmod(entry.item.path.c_str(), 0600), 0);
            }
            Bytes buffer(10'000);
            read[name].first = opened.data->read(buffer).bytes;
            EXPECT_EQ(opened.data->read(buffer).bytes, 0U);
            const auto verdict = opened.data->verdict();
            read[name].second = verdict && verdict->kind == Finding::Kind::changed;
        }
    }
    EXPECT_EQ(read["grows"], std::pair(std::size_t{1000}, true));
    EXPECT_EQ(read["shrinks"], std::pair(std::size_t{10}, true));
    EXPECT_EQ(read["touched"], std::pair(std::size_t{1000}, true));
}

TEST_F(FilesSourceTest, finds_out_what_vanished_and_what_took_its_place) {
    for (const char* name : {"gone", "fifo", "folder", "link", "stays"}) file(name);
    const auto from = source();
    const auto capture = from->begin({world_});
    std::vector<std::unique_ptr<Batch>> batches;
    for (auto batch = std::make_unique<Batch>(); capture->next(*batch); batch = std::make_unique<Batch>())
        batches.push_back(std::move(batch));
    for (const char* name : {"gone", "fifo", "folder", "link"}) std::filesystem::remove(at(name));
    ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
    folder("folder");
    std::filesystem::create_symlink("stays", at("link"));
    std::map<std::string, std::string> said;
    for (const auto& batch : batches) {
        for (const Batch::Entry& entry : batch->entries) {
            if (entry.item.kind != ItemKind::file) continue;
            const std::string name(split_path(entry.item.path).second);
            const Capture::Opened opened = capture->open(*batch, entry);
            said[name] = opened.finding ? name_of(opened.finding->kind) : "opened";
            Item item = entry.item;
            EXPECT_EQ(capture->complete(*batch, item).has_value(), name == "gone");
        }
    }
    EXPECT_EQ(said["gone"], "vanished");
    EXPECT_EQ(said["fifo"], "vanished");
    EXPECT_EQ(said["folder"], "vanished");
    EXPECT_EQ(said["link"], "vanished");
    EXPECT_EQ(said["stays"], "opened");
    EXPECT_TRUE(capture->finish().findings.empty());
}

TEST_F(FilesSourceTest, reads_files_that_do_not_know_their_size) {
    const auto from = source({{"paths", {"/proc/self/status", "/proc/sys/kernel/ostype"}}});
    const auto capture = from->begin({world_});
    Batch batch;
    std::map<std::string, Seen> seen;
    while (capture->next(batch)) {
        for (const Batch::Entry& entry : batch.entries) {
            if (entry.item.kind == ItemKind::file) read(*capture, batch, entry, seen[entry.item.path]);
        }
    }
    EXPECT_EQ(seen["/proc/sys/kernel/ostype"].text, "Linux\n");
    EXPECT_NE(seen["/proc/self/status"].text.find("Umask"), std::string::npos);
}

TEST_F(FilesSourceTest, hands_out_holes_as_holes) {
    file("sparse");
    const Fd fd(::open(at("sparse").c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
    write_all_at(fd.get(), as_bytes("data"), 4'000'000, "sparse");
    ASSERT_EQ(::ftruncate(fd.get(), 9'000'000), 0);
    const auto seen = capture();
    EXPECT_EQ(seen.at("sparse").text.size(), 9'000'000U);
    EXPECT_EQ(seen.at("sparse").text.substr(4'000'000, 5), std::string("data\0", 5));
    EXPECT_GT(seen.at("sparse").hole_bytes, 8'900'000U);
}

TEST_F(FilesSourceTest, numbers_hard_links_alike) {
    file("a/1");
    file("alone");
    folder("b");
    std::filesystem::create_hard_link(at("a/1"), at("b/2"));
    const auto seen = capture();
    EXPECT_NE(seen.at("a/1").item.hard_link, 0U);
    EXPECT_EQ(seen.at("a/1").item.hard_link, seen.at("b/2").item.hard_link);
    EXPECT_EQ(seen.at("alone").item.hard_link, 0U);
    EXPECT_EQ(seen.at("b").item.hard_link, 0U);
}

TEST_F(FilesSourceTest, numbers_that_change_are_a_change_of_the_file) {
    file("a/1");
    std::filesystem::create_hard_link(at("a/1"), at("a/2"));
    file("a/alone");
    const auto before = capture();
    // Another device comes first, which numbers are by.
    const auto after = capture({{"paths", {"/dev/null", top_}}});
    EXPECT_NE(before.at("a/1").item.hard_link, after.at("a/1").item.hard_link);
    EXPECT_NE(before.at("a/1").version, after.at("a/1").version);
    EXPECT_EQ(before.at("a/alone").version, after.at("a/alone").version);
}

TEST_F(FilesSourceTest, walks_down_deeper_than_any_path_may_be_long) {
    constexpr int depth = 1200;
    folder("");
    Fd at_depth(::open(top_.c_str(), O_PATH | O_CLOEXEC));
    for (int i = 0; i < depth; ++i) {
        ASSERT_EQ(::mkdirat(at_depth.get(), "deep", 0755), 0);
        ASSERT_EQ(::mkdirat(at_depth.get(), "z", 0755), 0);
        at_depth = Fd(::openat(at_depth.get(), "deep", O_PATH | O_CLOEXEC));
    }
    const Fd last(::openat(at_depth.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    write_all(last.get(), as_bytes("bottom"), "file");
    const auto from = source();
    const auto capture = from->begin({world_});
    std::vector<std::unique_ptr<Batch>> batches;
    for (auto batch = std::make_unique<Batch>(); capture->next(*batch); batch = std::make_unique<Batch>())
        batches.push_back(std::move(batch));
    std::size_t items = 0;
    std::string text;
    for (const auto& batch : batches) {
        for (const Batch::Entry& entry : batch->entries) {
            ++items;
            Item item = entry.item;
            EXPECT_FALSE(capture->complete(*batch, item));
            if (item.kind != ItemKind::file) continue;
            Seen seen;
            read(*capture, *batch, entry, seen);
            text = seen.text;
        }
    }
    EXPECT_GT(items, 2U * depth);
    EXPECT_EQ(text, "bottom");
    EXPECT_TRUE(capture->finish().findings.empty());
}

TEST_F(FilesSourceTest, ends_when_it_is_told_to_stop) {
    file("a");
    const auto from = source();
    const auto capture = from->begin({world_});
    Batch batch;
    EXPECT_TRUE(capture->next(batch));
    stop_.request(SIGTERM);
    EXPECT_EQ(error_of([&] { capture->next(batch); }).code(), Code::terminated);
}

TEST_F(FilesSourceTest, says_what_it_cannot_read) {
    file("secret");
    file("closed/file");
    file("open");
    ASSERT_EQ(::chmod(at("secret").c_str(), 0), 0);
    ASSERT_EQ(::chmod(at("closed").c_str(), 0), 0);
    ASSERT_EQ(::chmod(outside_.path().c_str(), 0755), 0);
    const AsOrdinaryUser ordinary;
    const auto from = source();
    const auto capture = from->begin({world_});
    Batch batch;
    std::map<std::string, Finding::Kind> said;
    while (capture->next(batch)) {
        for (const Batch::Entry& entry : batch.entries) {
            Item item = entry.item;
            capture->complete(batch, item);
            EXPECT_EQ(is_partial(item), !is_within(item.path, top_) || item.path == at("closed"));
            if (entry.item.kind != ItemKind::file) continue;
            const auto opened = capture->open(batch, entry);
            if (opened.finding) said[opened.finding->path] = opened.finding->kind;
        }
    }
    EXPECT_EQ(said, (std::map<std::string, Finding::Kind>{{at("secret"), Finding::Kind::unreadable}}));
    const auto findings = capture->finish().findings;
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].path, at("closed"));
}

TEST_F(FilesSourceTest, fails_when_its_only_path_is_none) {
    const std::string path = top_ + "/" + std::string(300, 'n');
    EXPECT_EQ(error_of([&] { capture({{"paths", {path}}}); }).code(), Code::source_failed);
}

}  // namespace holdfast
