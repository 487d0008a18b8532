// What only a store in a folder can do or suffer; what every store promises is in tests/conformance.
#include "stores/local/local_store.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "stores/local/file_calls.h"
#include "stores/local/file_system.h"

namespace holdfast {

namespace fs = std::filesystem;

namespace {

using Naming = LocalStore::Naming;
constexpr std::array all_namings{Naming::link_unnamed, Naming::link_named, Naming::rename_named};
const std::string hash = "ab" + std::string(62, '3');

class Local : public testing::Test {
protected:
    LocalStore open(Naming naming = Naming::link_unnamed) const { return {root, LocalStore::Open::create, naming}; }
    std::string path(std::string_view below) const { return root + "/" + std::string(below); }
    std::vector<std::string> files_below(const std::string& where) const {
        std::vector<std::string> files;
        if (!fs::exists(path(where))) return files;
        for (const auto& entry : fs::recursive_directory_iterator(path(where)))
            if (!entry.is_directory()) files.push_back(entry.path().string());
        return files;
    }
    static std::vector<std::string> listed(LocalStore& store) {
        std::vector<std::string> names;
        store.list("", [&](const ObjectInfo& info) { names.push_back(info.name); });
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

    const TemporaryFolder folder;
    const std::string root = folder.path() + "/store";
};

// Root may write anywhere, so for tests of what is denied this thread is nobody to the file system.
class AsNobody {
public:
    AsNobody() : was_(::setfsuid(65534)) {}
    AsNobody(const AsNobody&) = delete;
    AsNobody& operator=(const AsNobody&) = delete;
    ~AsNobody() { ::setfsuid(static_cast<uid_t>(was_)); }

private:
    const int was_;
};

// No file may grow beyond this: as on a full disk, the kernel takes part of the bytes and then none.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) {
        ::getrlimit(RLIMIT_FSIZE, &was_);
        const rlimit now{bytes, was_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &was_);
        std::signal(SIGXFSZ, handler_was_);
    }

private:
    rlimit was_{};
    void (*const handler_was_)(int) = std::signal(SIGXFSZ, SIG_IGN);
};

void make_old(const std::string& file, int hours) {
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(hours));
}

mode_t mode_of(const std::string& file) {
    struct stat info {};
    EXPECT_EQ(::lstat(file.c_str(), &info), 0) << file;
    return info.st_mode & 07777;
}

}  // namespace

TEST_F(Local, a_missing_folder_is_no_repository) {
    EXPECT_FALSE(LocalStore::exists(root));
    const Error error = error_of([&] { LocalStore(root, LocalStore::Open::existing); });
    EXPECT_EQ(error.code(), Code::no_repository);
    EXPECT_EQ(error.message(), "cannot open " + root + ": no such file or directory");
    EXPECT_NE(error.hint().find("holdfast init"), std::string::npos);
    EXPECT_FALSE(fs::exists(root));
}

TEST_F(Local, a_file_is_no_repository) {
    write_file_durably(root, as_bytes("x"));
    EXPECT_FALSE(LocalStore::exists(root));
    EXPECT_EQ(error_of([&] { LocalStore(root, LocalStore::Open::existing); }).code(), Code::no_repository);
    EXPECT_EQ(error_of([&] { LocalStore(root, LocalStore::Open::create); }).code(), Code::failed);
}

TEST_F(Local, create_makes_the_folder_and_those_above_it) {
    const std::string deep = root + "/a/b/c";
    LocalStore(deep + "/", LocalStore::Open::create).create("config", as_bytes("x"));
    EXPECT_TRUE(LocalStore::exists(deep));
    LocalStore store(deep, LocalStore::Open::existing);
    EXPECT_TRUE(store.find("config"));
    EXPECT_EQ(store.url(), fs::canonical(deep).string());
}

TEST_F(Local, objects_lie_where_the_layout_says) {
    LocalStore store = open();
    store.create("config", as_bytes("c"));
    store.create("log/0a/1/2", as_bytes("l"));
    store.create("data/" + hash, as_bytes("d"));
    EXPECT_EQ(as_text(read_file(path("config"))), "c");
    EXPECT_EQ(as_text(read_file(path("log/0a/1/2"))), "l");
    EXPECT_EQ(as_text(read_file(path("data/ab/" + hash))), "d");
    EXPECT_EQ(files_below("").size(), 3U);
}

TEST_F(Local, only_the_owner_may_read_and_nobody_may_change_objects) {
    open().create("data/" + hash, as_bytes("d"));
    EXPECT_EQ(mode_of(root), 0700U);
    EXPECT_EQ(mode_of(path("data/ab")), 0700U);
    EXPECT_EQ(mode_of(path("data/ab/" + hash)), 0400U);
}

TEST_F(Local, a_folder_that_a_group_may_write_to_is_shared_by_it) {
    const mode_t umask_was = ::umask(002);
    fs::create_directory(root);
    ::chmod(root.c_str(), 0770);
    open().create("data/" + hash, as_bytes("d"));
    ::umask(umask_was);
    EXPECT_EQ(mode_of(path("data/ab")), 0770U);
    EXPECT_EQ(mode_of(path("data/ab/" + hash)), 0440U);
}

TEST_F(Local, no_temporary_file_stays_behind_however_names_are_given) {
    for (const Naming naming : all_namings) {
        LocalStore store = open(naming);
        const std::string name = "log/" + std::to_string(static_cast<int>(naming));
        EXPECT_EQ(store.create(name, as_bytes("x")), Created::created);
        EXPECT_EQ(store.create(name, as_bytes("y")), Created::exists);
        EXPECT_TRUE(files_below(".tmp").empty());
    }
}

TEST_F(Local, what_a_dead_process_left_goes_after_a_day) {
    open(Naming::link_named).create("config", as_bytes("x"));
    for (const std::string leftover : {"young", "old"}) write_file_durably(path(".tmp/" + leftover), as_bytes("half"));
    make_old(path(".tmp/young"), 23);
    make_old(path(".tmp/old"), 25);
    make_old(path("config"), 1000);
    LocalStore store(root, LocalStore::Open::existing);
    EXPECT_EQ(files_below(".tmp"), std::vector{path(".tmp/young")});
    EXPECT_EQ(listed(store), std::vector<std::string>{"config"});
}

TEST_F(Local, what_may_not_be_written_is_denied_and_can_still_be_read) {
    LocalStore store = open();
    store.create("config", as_bytes("c"));
    ::chmod(folder.path().c_str(), 0755);
    ::chmod(path("config").c_str(), 0444);
    ::chmod(root.c_str(), 0555);
    const AsNobody nobody;
    LocalStore read_only(root, LocalStore::Open::existing);
    EXPECT_EQ(as_text(*read_only.read("config")), "c");
    for (const std::string name : {"new", "log/0a/1"}) {
        const Error error = error_of([&] { read_only.create(name, as_bytes("x")); });
        EXPECT_EQ(error.code(), Code::denied) << error.message();
        EXPECT_NE(error.message().find(root), std::string::npos);
        EXPECT_FALSE(error.hint().empty());
    }
    EXPECT_EQ(error_of([&] { read_only.remove("config"); }).code(), Code::denied);
    EXPECT_EQ(listed(read_only), std::vector<std::string>{"config"});
}

TEST_F(Local, what_may_not_be_read_is_denied) {
    LocalStore store = open();
    store.create("log/1", as_bytes("x"));
    ::chmod(folder.path().c_str(), 0755);
    ::chmod(root.c_str(), 0755);
    ::chmod(path("log").c_str(), 0755);
    ::chmod(path("log/1").c_str(), 0);
    const AsNobody nobody;
    EXPECT_EQ(error_of([&] { store.read("log/1"); }).code(), Code::denied);
    EXPECT_EQ(error_of([&] { store.read_range("log/1", 0, 1); }).code(), Code::denied);
}

TEST_F(Local, a_full_disk_is_no_space_and_leaves_neither_object_nor_bytes) {
    for (const Naming naming : all_namings) {
        LocalStore store = open(naming);
        {
            const FileSizeLimit limit(100'000);
            for (const std::size_t size : {200'000U, 2'000'000U}) {
                const Error error = error_of([&] { store.create("data/" + hash, Bytes(size, 1)); });
                EXPECT_EQ(error.code(), Code::no_space) << error.message();
                EXPECT_NE(error.message().find("data/ab/" + hash), std::string::npos);
                EXPECT_FALSE(error.hint().empty());
            }
            EXPECT_FALSE(store.find("data/" + hash));
            EXPECT_TRUE(files_below("").empty());
            EXPECT_EQ(store.create("log/small", Bytes(1000, 1)), Created::created);
        }
        EXPECT_EQ(store.create("data/" + hash, Bytes(200'000, 1)), Created::created);
        store.remove("data/" + hash);
        store.remove("log/small");
    }
}

TEST_F(Local, a_link_at_an_objects_place_is_not_followed) {
    LocalStore store = open();
    write_file_durably(folder.path() + "/secret", as_bytes("secret"));
    store.create("log/1", as_bytes("x"));
    fs::create_symlink(folder.path() + "/secret", path("log/2"));
    fs::create_symlink("nowhere", path("log/3"));
    for (const std::string name : {"log/2", "log/3"}) {
        EXPECT_EQ(error_of([&] { store.read(name); }).code(), Code::corrupt);
        EXPECT_EQ(error_of([&] { store.read_range(name, 0, 1); }).code(), Code::corrupt);
        EXPECT_EQ(error_of([&] { store.find(name); }).code(), Code::corrupt);
        EXPECT_EQ(store.create(name, as_bytes("y")), Created::exists);
    }
    EXPECT_EQ(listed(store), std::vector<std::string>{"log/1"});
    store.remove("log/2");
    EXPECT_FALSE(store.find("log/2"));
    EXPECT_EQ(as_text(read_file(folder.path() + "/secret")), "secret");
    EXPECT_FALSE(fs::exists(path("nowhere")));
}

TEST_F(Local, a_fifo_at_an_objects_place_is_refused_and_not_waited_for) {
    LocalStore store = open();
    ASSERT_EQ(::mkfifo(path("config").c_str(), 0600), 0);
    EXPECT_EQ(error_of([&] { store.read("config"); }).code(), Code::corrupt);
    EXPECT_EQ(error_of([&] { store.find("config"); }).code(), Code::corrupt);
    EXPECT_TRUE(listed(store).empty());
}

TEST_F(Local, folders_of_others_are_not_entered) {
    LocalStore store = open();
    store.create("log/1", as_bytes("x"));
    ::chmod(folder.path().c_str(), 0755);
    ::chmod(root.c_str(), 0755);
    ::chmod(path("log").c_str(), 0755);
    fs::create_directory(path("lost+found"));
    ::chmod(path("lost+found").c_str(), 0);
    const AsNobody nobody;
    EXPECT_EQ(listed(store), std::vector<std::string>{"log/1"});
}

TEST_F(Local, files_of_others_are_not_listed) {
    LocalStore store = open();
    store.create("data/" + hash, as_bytes("d"));
    const std::string misplaced = "data/ab/cd" + std::string(62, '3');
    for (const std::string_view file : {"notes~", ".nfs0001", "data/.DS_Store", "data/ab/README", misplaced.c_str()})
        write_file_durably(path(file), as_bytes("x"));
    fs::create_directories(path("lost+found/x"));
    fs::create_directory_symlink(root, path("loop"));
    EXPECT_EQ(listed(store), std::vector<std::string>{"data/" + hash});
}

TEST_F(Local, no_name_leads_out_of_the_folder) {
    LocalStore store = open();
    write_file_durably(folder.path() + "/outside", as_bytes("x"));
    const std::string absolute = folder.path() + "/outside";
    for (const std::string_view name : {"../outside", "a/../../outside", absolute.c_str(), ".tmp/x"}) {
        EXPECT_EQ(error_of([&] { store.read(name); }).code(), Code::usage);
        EXPECT_EQ(error_of([&] { store.create(name, as_bytes("x")); }).code(), Code::usage);
        EXPECT_EQ(error_of([&] { store.remove(name); }).code(), Code::usage);
    }
    EXPECT_TRUE(fs::exists(folder.path() + "/outside"));
}

TEST_F(Local, a_file_removed_behind_our_back_is_absent_though_it_was_open) {
    LocalStore store = open();
    store.create("data/" + hash, as_bytes("before"));
    EXPECT_EQ(as_text(*store.read_range("data/" + hash, 0, 6)), "before");
    fs::remove(path("data/ab/" + hash));
    EXPECT_FALSE(store.read_range("data/" + hash, 0, 6));
    EXPECT_EQ(store.create("data/" + hash, as_bytes("after")), Created::created);
    EXPECT_EQ(as_text(*store.read_range("data/" + hash, 0, 6)), "after");
}

TEST_F(Local, folders_removed_behind_our_back_are_made_again) {
    for (const Naming naming : all_namings) {
        LocalStore store = open(naming);
        store.create("data/" + hash, as_bytes("x"));
        fs::remove_all(path("data"));
        fs::remove_all(path(".tmp"));
        EXPECT_EQ(store.create("data/" + hash, as_bytes("x")), Created::created);
        EXPECT_EQ(listed(store), std::vector<std::string>{"data/" + hash});
        store.remove("data/" + hash);
    }
}

TEST_F(Local, an_object_cannot_lie_below_another) {
    LocalStore store = open();
    store.create("a", as_bytes("x"));
    EXPECT_EQ(error_of([&] { store.create("a/b", as_bytes("x")); }).code(), Code::failed);
    EXPECT_FALSE(store.read("a/b"));
    EXPECT_FALSE(store.find("a/b"));
}

TEST_F(Local, few_files_stay_open) {
    LocalStore store = open();
    const auto open_files = [] {
        return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
    };
    const auto before = open_files();
    for (int i = 0; i < 100; ++i) {
        const std::string name = "log/" + std::to_string(i) + "/1";
        store.create(name, as_bytes("x"));
        store.read_range(name, 0, 1);
    }
    EXPECT_LE(open_files() - before,
              static_cast<std::ptrdiff_t>(LocalStore::folder_fds_max + LocalStore::file_fds_max));
}

TEST_F(Local, large_objects_of_any_size_are_whole_where_they_are_written_past_the_cache) {
    LocalStore store = open();
    Bytes bytes(3 * 1024 * 1024 + 4097);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * i >> 7);
    for (const std::size_t less : {0U, 1U, 4095U, 4096U, 4097U, 1'048'577U}) {
        const ByteView part = ByteView(bytes).subspan(less);
        const std::string name = "data/" + std::to_string(less);
        store.create(name, part);
        EXPECT_TRUE(equal(*store.read(name), part)) << less;
    }
    EXPECT_EQ(fs::file_size(path("data/1")), bytes.size() - 1);
}

TEST(FileSystem, shares_by_smb_are_refused_and_nfs_listings_may_lag) {
    for (const std::uint64_t magic : {0x517bU, 0xff534d42U, 0xfe534d42U}) EXPECT_TRUE(file_system_of(magic).is_refused);
    EXPECT_FALSE(file_system_of(0x6969).is_refused);
    EXPECT_FALSE(file_system_of(0x6969).lists_at_once);
    EXPECT_FALSE(file_system_of(0xef53).is_refused);
    EXPECT_TRUE(file_system_of(0xef53).lists_at_once);
}

TEST(FileCalls, what_the_kernel_says_has_a_code_of_a_store) {
    for (const int number : {ENOSPC, EDQUOT, EFBIG}) EXPECT_EQ(code_of(number), Code::no_space);
    for (const int number : {EACCES, EPERM, EROFS}) EXPECT_EQ(code_of(number), Code::denied);
    for (const int number : {EIO, ESTALE, ENOTCONN, ETIMEDOUT}) EXPECT_EQ(code_of(number), Code::unreachable);
    EXPECT_EQ(code_of(EMFILE), Code::failed);
}

}  // namespace holdfast
