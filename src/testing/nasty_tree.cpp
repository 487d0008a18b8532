#include "testing/nasty_tree.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"

namespace holdfast {

namespace {

void must(bool done, std::string_view what, std::string_view on) {
    if (!done) throw Error{Code::failed, "nasty tree: cannot {} {}: {}", what, on, errno_text(errno)};
}

// Makes the parts of the tree; paths are relative to it.
class Maker {
public:
    Maker(std::string folder, const NastyTreeOptions& options) : top_(std::move(folder)), options_(options) {}

    void run() {
        must(::mkdir(top_.c_str(), 0755) == 0 || errno == EEXIST, "create", top_);
        make_files();
        make_modes();
        make_times();
        make_symlinks();
        make_hard_links();
        make_sparse_files();
        make_names();
        make_attributes();
        make_special();
        make_many();
        if (::geteuid() == 0) make_owned();
        set_folder_times();
    }

private:
    std::string at(std::string_view path) const { return top_ + "/" + std::string(path); }
    void folder(std::string_view path, unsigned mode = 0755) {
        must(::mkdir(at(path).c_str(), 0755) == 0, "create", at(path));
        chmod(path, mode);
        folders_.push_back(at(path));
    }
    void file(std::string_view path, std::string_view text, unsigned mode = 0644) {
        write_text(at(path), text);
        chmod(path, mode);
    }
    void chmod(std::string_view path, unsigned mode) { must(::chmod(at(path).c_str(), mode) == 0, "chmod", at(path)); }
    void symlink(std::string_view path, const std::string& target) {
        must(::symlink(target.c_str(), at(path).c_str()) == 0, "create", at(path));
    }
    void link(std::string_view from, std::string_view to) {
        must(::linkat(AT_FDCWD, at(from).c_str(), AT_FDCWD, at(to).c_str(), 0) == 0, "link", at(to));
    }
    void chown(std::string_view path, unsigned uid, unsigned gid) {
        must(::lchown(at(path).c_str(), uid, gid) == 0, "chown", at(path));
    }
    void attribute(std::string_view path, const char* name, std::string_view value) {
        must(::lsetxattr(at(path).c_str(), name, value.data(), value.size(), 0) == 0, name, at(path));
    }

    std::string noise(std::size_t size) {
        std::string out(size, '\0');
        for (char& c : out) {
            state_ ^= state_ << 13;
            state_ ^= state_ >> 7;
            state_ ^= state_ << 17;
            c = static_cast<char>(state_);
        }
        return out;
    }

    void make_files() {
        folder("files");
        file("files/empty", "");
        file("files/one", "x");
        file("files/page", noise(4096));
        file("files/odd", noise(70'001));
        file("files/large", noise(options_.large_bytes));
        folder("files/empty folder");
        folder("a");
        file("a/in a", "1");
        folder("a!");  // '!' sorts before '/': tree order is not the order of whole paths
        file("a!/in a!", "2");
        folder("a/b");
        file("a/b/c", "3");
        file("a-file", "4");
    }

    void make_modes() {
        folder("modes");
        for (const unsigned mode : {0400U, 0444U, 0755U, 04755U, 02755U, 06711U, 01644U})
            file(fmt::format("modes/{:04o}", mode), "mode", mode);
        folder("modes/sticky", 01777);
        folder("modes/setgid", 02770);
        folder("modes/read only");
        file("modes/read only/inside", "x");
        chmod("modes/read only", 0555);
        if (::geteuid() != 0) return;  // only root can read the rest
        for (const unsigned mode : {0000U, 0200U, 0001U}) file(fmt::format("modes/{:04o}", mode), "mode", mode);
        folder("modes/closed");
        file("modes/closed/inside", "x");
        chmod("modes/closed", 0);
    }

    void make_times() {
        folder("times");
        for (const std::int64_t seconds :
             {-1'219'276'800LL, -1LL, 0LL, 1LL, 1'700'000'000LL, 4'294'967'296LL, 7'258'118'400LL}) {
            for (const std::int64_t nanoseconds : {0, 1, 999'999'999}) {
                const std::string name = fmt::format("times/{}.{}", seconds, nanoseconds);
                file(name, "t");
                set_time(at(name), seconds, nanoseconds);
            }
        }
        folder("times/old folder");
        file("times/old folder/new file", "n");
        set_time(at("times/old folder"), -1'219'276'800, 5);
    }

    void make_symlinks() {
        folder("symlinks");
        symlink("symlinks/to file", "../files/one");
        symlink("symlinks/to folder", "../files");
        symlink("symlinks/absolute", "/etc/hostname");
        symlink("symlinks/dangling", "nowhere/at all");
        symlink("symlinks/newline", "a\nb\xff");
        symlink("symlinks/long", std::string(4095, 'l'));
        symlink("symlinks/of 256", std::string(256, 'm'));
        set_time(at("symlinks/dangling"), -86'400, 7);
    }

    void make_hard_links() {
        folder("links");
        folder("links/z");
        folder("links/a");
        file("links/z/first made", noise(20'000));
        link("links/z/first made", "links/a/second");
        link("links/z/first made", "links/third");
        file("links/empty 1", "");
        link("links/empty 1", "links/a/empty 2");
        symlink("links/symlink 1", "target");
        link("links/symlink 1", "links/symlink 2");
        must(::mkfifo(at("links/fifo 1").c_str(), 0600) == 0, "create", "links/fifo 1");
        link("links/fifo 1", "links/a/fifo 2");
        file("links/same content, no link", "x");
        file("links/same content, other inode", "x");
    }

    void sparse(std::string_view path, std::uint64_t size, std::initializer_list<std::uint64_t> data_at) {
        const Fd fd(::open(at(path).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        must(static_cast<bool>(fd), "create", path);
        for (const std::uint64_t offset : data_at) write_all_at(fd.get(), as_bytes(noise(5000)), offset, at(path));
        must(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0, "truncate", path);
    }

    void make_sparse_files() {
        folder("sparse");
        sparse("sparse/all hole", 10'000'000, {});
        sparse("sparse/hole first", 2'000'000, {1'990'000});
        sparse("sparse/hole last", 2'000'000, {0});
        sparse("sparse/hole inside", 3'000'000, {0, 2'900'000});
        sparse("sparse/many", 20'000'000, {1'000'000, 3'000'000, 7'000'000, 19'999'000 - 5000});
        sparse("sparse/small", 64 * 1024, {16 * 1024});
        sparse("sparse/large", 500'000'000, {400'000'000});
    }

    void make_names() {
        folder("names");
        for (const std::string_view name :
             {"with space", " leading", "trailing ", "new\nline", "tab\t", "\xff\xfe not utf-8", "quote\"'",
              "back\\slash", "*?[a]", "-rf", "...", "~", "umlaut \xc3\xa4", "\x01\x7f", "#comment", "!not"})
            file("names/" + std::string(name), name);
        file("names/" + std::string(255, 'n'), "longest");
        folder("names/" + std::string(254, 'f'));
        if (options_.long_paths) make_deep_folders(at("names"), std::string(200, 'd'), 25);
    }

    static std::string acl(std::uint32_t uid) {
        Bytes out;
        ByteWriter writer(out);
        writer.u32(2);
        const auto entry = [&](std::uint16_t tag, std::uint16_t rights, std::uint32_t id) {
            writer.u16(tag);
            writer.u16(rights);
            writer.u32(id);
        };
        constexpr std::uint32_t nobody = 0xffffffff;
        entry(1, 6, nobody);   // owner
        entry(2, 4, uid);      // a user
        entry(4, 4, nobody);   // group
        entry(16, 6, nobody);  // mask
        entry(32, 0, nobody);  // others
        return std::string(as_text(out));
    }

    void make_attributes() {
        folder("attributes");
        file("attributes/plain", "a");
        attribute("attributes/plain", "user.empty", "");
        attribute("attributes/plain", "user.text", "some text");
        attribute("attributes/plain", "user.binary", std::string_view("\0\xff\n", 3));
        file("attributes/long", "a");
        attribute("attributes/long", "user.long", noise(2000));
        file("attributes/read only", "a", 0644);
        attribute("attributes/read only", "user.kept", "yes");
        chmod("attributes/read only", 0444);
        file("attributes/acl", "a", 0640);
        attribute("attributes/acl", "system.posix_acl_access", acl(::geteuid() + 1));
        folder("attributes/default acl");
        attribute("attributes/default acl", "system.posix_acl_default", acl(::geteuid() + 2));
        attribute("attributes/default acl", "user.on a folder", "yes");
        file("attributes/default acl/inherits", "a");
        folder("attributes/default acl/inherits too");
        file("attributes/default acl/does not", "a");
        must(::removexattr(at("attributes/default acl/does not").c_str(), "system.posix_acl_access") == 0, "remove",
             "ACL");
        chmod("attributes/default acl/does not", 0664);
    }

    void make_special() {
        folder("special");
        must(::mkfifo(at("special/fifo").c_str(), 0600) == 0, "create", "fifo");
        chmod("special/fifo", 0622);
        set_time(at("special/fifo"), 1'000'000, 3);
        must(::mkfifo(at("special/closed fifo").c_str(), 0) == 0, "create", "closed fifo");
        chmod("special/closed fifo", 0);
        const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        // Bound by a short name: the tree may lie deeper than an address can say.
        const Fd folder_fd(::open(at("special").c_str(), O_PATH | O_CLOEXEC));
        const std::string name = fmt::format("/proc/self/fd/{}/socket", folder_fd.get());
        name.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
        must(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind", "socket");
    }

    void make_many() {
        folder("many");
        const std::string path = at("many");
        const Fd many(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        for (std::size_t i = 0; i < options_.many_files; ++i) {
            const std::string name = fmt::format("{:x}-{}", i * 2'654'435'761U, i);
            const Fd fd(::openat(many.get(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
            must(static_cast<bool>(fd), "create", name);
            if (i % 3 != 0) write_all(fd.get(), as_bytes(name), name);
            if (i % 1000 == 0) folder("many/" + name + " folder");
        }
    }

    void make_owned() {
        folder("owned");
        file("owned/file", "o", 0640);
        chown("owned/file", 12'345, 54'321);
        file("owned/setuid", "o");
        chown("owned/setuid", 1000, 1000);
        chmod("owned/setuid", 06755);
        symlink("owned/symlink", "file");
        chown("owned/symlink", 77, 88);
        folder("owned/folder", 0750);
        chown("owned/folder", 4'000'000, 4'000'001);
        chmod("owned/folder", 03750);
        file("owned/folder/gets the group", "o");
        must(::mknod(at("special/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0, "create", "a device");
        must(::mknod(at("special/block").c_str(), S_IFBLK | 0660, makedev(7, 200)) == 0, "create", "a device");
        must(::mknod(at("special/high").c_str(), S_IFCHR | 0600, makedev(300, 70'000)) == 0, "create", "a device");
        chown("special/block", 0, 6);
        file("owned/capable", "c", 0755);
        chown("owned/capable", 55, 66);
        constexpr std::string_view net_bind_service(
            "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
        attribute("owned/capable", "security.capability", net_bind_service);
        attribute("owned/file", "trusted.only root", "t");
        attribute("owned/symlink", "trusted.on a symlink", "t");
    }

    void set_folder_times() {
        std::int64_t seconds = 1'500'000'000;
        for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
            ++seconds;
            set_time(*folder, seconds, seconds % 1000);
        }
        set_time(at("times/old folder"), -1'219'276'800, 5);
        set_time(top_, 1'400'000'000, 9);
    }

    const std::string top_;
    const NastyTreeOptions options_;
    std::vector<std::string> folders_;
    std::uint64_t state_ = 88172645463325252;
};

}  // namespace

void make_nasty_tree(const std::string& folder, const NastyTreeOptions& options) { Maker(folder, options).run(); }

void make_deep_folders(const std::string& folder, const std::string& name, std::size_t depth) {
    Fd at(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    must(static_cast<bool>(at), "open", folder);
    for (std::size_t i = 0; i < depth; ++i) {
        must(::mkdirat(at.get(), name.c_str(), 0755) == 0, "create", name);
        at = Fd(::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        const Fd file(::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        must(static_cast<bool>(file), "create", "file");
        write_all(file.get(), as_bytes(std::to_string(i)), name);
    }
}

std::size_t test_scale() {
    const char* scale = std::getenv("HOLDFAST_SCALE");
    return scale == nullptr ? 1 : std::max<std::size_t>(1, std::strtoull(scale, nullptr, 10));
}

void write_text(const std::string& path, std::string_view text) {
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    must(static_cast<bool>(fd), "create", path);
    write_all(fd.get(), as_bytes(text), path);
}

void set_time(const std::string& path, std::int64_t seconds, std::int64_t nanoseconds) {
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{seconds, nanoseconds}};
    must(::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0, "set the time of", path);
}

}  // namespace holdfast
