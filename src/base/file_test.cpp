#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "base/error.h"

namespace holdfast {
namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

Error error_of(const std::function<void()>& run) {
    try {
        run();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no error";
    return Error{Code::internal, "none"};
}

TEST(Fd, is_closed_once_and_by_its_last_owner) {
    Fd first(open("/dev/null", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(first);
    const int number = first.get();
    Fd second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT: that is what is tested
    EXPECT_TRUE(is_open(number));
    second = Fd();
    EXPECT_FALSE(is_open(number));
    Fd third(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int kept = third.release();
    third.reset();
    EXPECT_TRUE(is_open(kept));
    close(kept);
}

TEST(File, whole_files_are_read_whatever_their_size_says) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/x";
    EXPECT_EQ(read_file_if_present(path), std::nullopt);
    EXPECT_EQ(read_file_if_present(path + "/below/nothing"), std::nullopt);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, std::size_t{100'001}}) {
        Bytes bytes(size);
        for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
        write_file_durably(path, bytes);
        EXPECT_EQ(read_file(path), bytes);
    }
    EXPECT_FALSE(read_file("/proc/self/status").empty()) << "a file that says it has no bytes";
}

TEST(File, what_is_missing_is_said_with_its_path) {
    const Error error = error_of([] { read_file("/no/such/file"); });
    EXPECT_EQ(error.code(), Code::failed);
    EXPECT_EQ(error.message(), "cannot open /no/such/file: no such file or directory");
    EXPECT_EQ(error_of([] { read_file("/"); }).message(), "cannot read /: is a directory");
}

TEST(File, a_durable_write_replaces_the_file_or_leaves_it) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/x";
    write_file_durably(path, as_bytes("old"), 0640);
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0640U);
    write_file_durably(path, as_bytes("new"));
    EXPECT_EQ(as_text(read_file(path)), "new");
    mkdir((folder.path() + "/taken").c_str(), 0700);
    EXPECT_THROW(write_file_durably(folder.path() + "/taken", as_bytes("x")), Error);
    EXPECT_THROW(write_file_durably(folder.path() + "/no/x", as_bytes("x")), Error);
    std::size_t left = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++left;
    EXPECT_EQ(left, 2U) << "a temporary file was left behind";
}

TEST(File, bytes_can_be_written_at_any_offset) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/x";
    const Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    write_all(fd.get(), as_bytes("abc"), path);
    write_all_at(fd.get(), as_bytes("Z"), 1, path);
    write_all_at(fd.get(), as_bytes("end"), 5, path);
    EXPECT_EQ(as_text(read_file(path)), std::string_view("aZc\0\0end", 8));
}

TEST(File, a_full_disk_is_no_space) {
    const Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(full);
    const Error error = error_of([&] { write_all(full.get(), as_bytes("x"), "/dev/full"); });
    EXPECT_EQ(error.code(), Code::no_space);
    EXPECT_EQ(error.exit_status(), 18);
}

TEST(File, a_temporary_folder_goes_with_all_it_holds) {
    std::string path;
    {
        const TemporaryFolder folder("hf-test-");
        path = folder.path();
        std::filesystem::create_directories(path + "/a/b");
        write_file_durably(path + "/a/b/c", as_bytes("x"));
        const TemporaryFolder inner("in-", path);
        EXPECT_TRUE(inner.path().starts_with(path + "/in-"));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_THROW(TemporaryFolder("x-", "/no/such/folder"), Error);
}

TEST(File, the_state_folder_follows_xdg) {
    const char* const before = std::getenv("XDG_STATE_HOME");
    const std::string kept = before == nullptr ? "" : before;
    setenv("XDG_STATE_HOME", "/x/state", 1);
    EXPECT_EQ(state_folder(), "/x/state/holdfast");
    setenv("XDG_STATE_HOME", "relative", 1);
    EXPECT_EQ(state_folder(), home_folder() + "/.local/state/holdfast");
    kept.empty() ? unsetenv("XDG_STATE_HOME") : setenv("XDG_STATE_HOME", kept.c_str(), 1);
    EXPECT_FALSE(current_host_name().empty());
}

}  // namespace
}  // namespace holdfast
