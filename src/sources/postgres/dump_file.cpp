#include "sources/postgres/dump_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "codec/gunzip.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t begin_bytes = 256 * 1024;
constexpr std::size_t piece_bytes = 256 * 1024;

Fd open_file(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw Error{Code::source_failed, "cannot open {}: {}", path, errno_text(errno)};
    return fd;
}

std::size_t read_some(int fd, MutableByteView into, const std::string& path) {
    while (true) {
        const ssize_t got = ::read(fd, into.data(), into.size());
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) throw Error{Code::source_failed, "cannot read {}: {}", path, errno_text(errno)};
    }
}

Bytes begin_of(const std::string& path, bool& is_compressed) {
    const Fd fd = open_file(path);
    Bytes raw(begin_bytes);
    std::size_t size = 0;
    while (size < raw.size()) {
        const std::size_t got = read_some(fd.get(), MutableByteView(raw).subspan(size), path);
        if (got == 0) break;
        size += got;
    }
    raw.resize(size);
    is_compressed = codec::is_gzip(raw);
    if (!is_compressed) return raw;
    Bytes out;
    codec::GzipReader reader([&](ByteView bytes) {
        if (out.size() < begin_bytes) append(out, bytes);
    });
    reader.add(raw);
    return out;
}

bool is_tar_of_dump(ByteView begin) {
    constexpr std::size_t magic_at = 257;
    constexpr std::string_view first_member{"toc.dat\0", 8};
    return begin.size() > magic_at + 5 && as_text(begin.subspan(magic_at, 5)) == "ustar" &&
           as_text(begin).starts_with(first_member);
}

bool is_plain_dump(const std::string& path, std::string_view begin) {
    constexpr std::size_t looked_at = 8192;
    const std::string_view head = begin.substr(0, looked_at);
    return head.find("-- PostgreSQL database dump") != std::string_view::npos ||
           head.find("-- PostgreSQL database cluster dump") != std::string_view::npos || path.ends_with(".sql") ||
           path.ends_with(".sql.gz");
}

}  // namespace

std::string DumpFile::format() const {
    const std::string suffix = is_compressed ? ".gz" : "";
    switch (kind) {
        case Kind::sql:
            return "sql" + suffix;
        case Kind::custom:
            return "custom" + suffix;
        case Kind::tar:
            return "tar" + suffix;
        case Kind::directory:
            return "directory";
        case Kind::none:
            break;
    }
    return "";
}

DumpFile look_at_dump(const std::string& path) {
    DumpFile out{.path = path};
    if (std::filesystem::is_directory(path)) {
        if (std::filesystem::exists(path + "/toc.dat")) out.kind = DumpFile::Kind::directory;
        return out;
    }
    const Bytes begin = begin_of(path, out.is_compressed);
    if (as_text(begin).starts_with("PGDMP")) {
        out.kind = DumpFile::Kind::custom;
    } else if (is_tar_of_dump(begin)) {
        out.kind = DumpFile::Kind::tar;
    } else if (is_plain_dump(path, as_text(begin))) {
        out.kind = DumpFile::Kind::sql;
        out.begin = as_text(begin);
    }
    return out;
}

void read_dump(const DumpFile& dump, const std::function<void(ByteView)>& each,
               const std::function<void(std::uint64_t)>& read) {
    const Fd fd = open_file(dump.path);
    codec::GzipReader reader(each);
    Bytes piece(piece_bytes);
    while (const std::size_t got = read_some(fd.get(), piece, dump.path)) {
        const ByteView bytes = ByteView(piece).first(got);
        dump.is_compressed ? reader.add(bytes) : each(bytes);
        if (read) read(got);
    }
    if (dump.is_compressed) reader.finish();
}

}  // namespace holdfast::postgres
