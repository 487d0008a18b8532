#include "sources/mongodb/unpack.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "sources/mongodb/archive.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t piece_bytes = 1024 * 1024;
constexpr std::size_t block = 512;
constexpr std::size_t pax_bytes_max = 1024 * 1024;
constexpr std::size_t name_bytes_max = 238, kept_bytes = 208;  // of a collection, in the name of its file
constexpr std::string_view cut_mark = "%24";

Fd make_file(const std::string& path) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out && errno == EEXIST)
        throw Error{Code::source_failed, "the dump holds {} twice", printable(path.substr(path.rfind('/') + 1))}.hint(
            "Is it several dumps in one? Unpack it, and import the folder of each.");
    if (!out) throw Error{Code::failed, "cannot create {}: {}", path, errno_text(errno)};
    return out;
}

// In base64 for URLs.
std::string sha1_text(std::string_view text) {
    std::array<unsigned char, 20> sum{};
    std::array<char, 40> out{};
    if (EVP_Digest(text.data(), text.size(), sum.data(), nullptr, EVP_sha1(), nullptr) != 1)
        throw Error{Code::internal, "no SHA-1"};
    return sodium_bin2base64(out.data(), out.size(), sum.data(), sum.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

class ToFolder final : public ArchiveReader::Sink {
public:
    explicit ToFolder(std::string folder) : folder_(std::move(folder)) {}

    void collection(const Collection& each) override {
        const std::string path = path_of(each.name) + ".metadata.json";
        const Fd file = make_file(path);
        const std::string metadata = dump_metadata(each);
        write_all(file.get(), as_bytes(metadata), path);
    }
    void document(const Namespace& name, ByteView document) override {
        Open& open = open_[name];
        if (!open.file) open.file = make_file(path_of(name) + ".bson");
        append(open.pending, document);
        if (open.pending.size() >= piece_bytes) flush(name, open);
    }
    void end(const Namespace& name) override {
        Open& open = open_[name];
        if (!open.file) open.file = make_file(path_of(name) + ".bson");
        flush(name, open);
        open_.erase(name);
    }

private:
    struct Open {
        Fd file;
        Bytes pending;
    };
    void flush(const Namespace& name, Open& open) {
        write_all(open.file.get(), open.pending, path_of(name));
        open.pending.clear();
    }
    std::string path_of(const Namespace& name) const {
        return folder_ + "/" + (name.database.empty() ? "" : dump_folder_name(name.database) + "/") +
               dump_file_name(name.collection);
    }

    const std::string folder_;
    std::map<Namespace, Open> open_;
};

std::uint64_t octal(ByteView field) {
    if (!field.empty() && (field[0] & 0x80) != 0) {  // large sizes as binary, by GNU
        std::uint64_t out = field[0] & 0x7f;
        for (const std::uint8_t byte : field.subspan(1)) out = out << 8 | byte;
        return out;
    }
    std::uint64_t out = 0;
    for (const std::uint8_t c : field) {
        if (c == 0) break;
        if (c == ' ') continue;
        if (c < '0' || c > '7') throw Error{Code::source_failed, "this is no tar: a size that is none"};
        out = out * 8 + static_cast<std::uint64_t>(c - '0');
    }
    return out;
}

std::string text_field(ByteView field) {
    const auto end = std::ranges::find(field, 0);
    return std::string(as_text(field.first(static_cast<std::size_t>(end - field.begin()))));
}

class Untar {
public:
    Untar(World& world, const std::string& path, std::string folder)
        : world_(world), from_(path), folder_(std::move(folder)) {}

    void run() {
        Bytes head(block);
        while (true) {
            world_.stop.check();
            if (!read(head)) throw Error{Code::source_failed, "the tar ends before its end"};
            if (std::ranges::all_of(head, [](std::uint8_t c) { return c == 0; })) break;
            check_sum(head);
            take(head);
        }
        // To the end of the file, where gzip has its checksum.
        Bytes rest(piece_bytes);
        while (from_.read(rest) > 0) world_.stop.check();
    }
    // The one folder at the top, when all files lie in it and not deeper.
    std::string only_folder() const { return folders_.size() == 1 && !is_deep_ ? *folders_.begin() : ""; }

private:
    bool read(Bytes& into) {
        std::size_t done = 0;
        while (done < into.size()) {
            const std::size_t got = from_.read(MutableByteView(into).subspan(done));
            if (got == 0) break;
            done += got;
        }
        if (done == 0) return false;
        if (done < into.size()) throw Error{Code::source_failed, "the tar ends before its end"};
        return true;
    }

    static void check_sum(const Bytes& head) {
        constexpr std::size_t at = 148, length = 8;
        std::uint64_t sum = length * ' ';
        for (std::size_t i = 0; i < head.size(); ++i)
            if (i < at || i >= at + length) sum += head[i];
        if (octal(ByteView(head).subspan(at, length)) != sum)
            throw Error{Code::source_failed, "the tar is damaged: the checksum of a header is another"};
    }

    void take(const Bytes& head) {
        const ByteView view = head;
        std::uint64_t size = size_.value_or(octal(view.subspan(124, 12)));
        std::string name = name_.value_or("");
        if (!name_) {
            name = text_field(view.first(100));
            if (as_text(view.subspan(257, 5)) == "ustar")
                if (const std::string prefix = text_field(view.subspan(345, 155)); !prefix.empty() && view[262] == 0)
                    name = prefix + "/" + name;
        }
        const char kind = static_cast<char>(head[156]);
        if (kind == 'x' || kind == 'L' || kind == 'g') {
            if (size > pax_bytes_max) throw Error{Code::source_failed, "this is no tar: a header that is too large"};
            const std::string text = read_text(octal(view.subspan(124, 12)));
            if (kind == 'L') name_ = text.substr(0, text.find('\0'));
            if (kind == 'x') take_pax(text);
            return;
        }
        name_.reset();
        size_.reset();
        const bool is_wanted = (kind == '0' || kind == 0) && (name.ends_with(".bson") || name.ends_with(".json") ||
                                                              name.ends_with(".bson.gz") || name.ends_with(".json.gz"));
        copy(is_wanted ? place_of(name) : "", size);
    }

    std::string read_text(std::uint64_t size) {
        Bytes text((size + block - 1) / block * block);
        if (!text.empty() && !read(text)) throw Error{Code::source_failed, "the tar ends before its end"};
        return std::string(as_text(ByteView(text).first(size)));
    }

    void take_pax(std::string_view text) {
        while (!text.empty()) {
            std::size_t length = 0;
            const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), length);
            if (problem != std::errc{} || length == 0 || length > text.size()) return;
            const std::string_view record = text.substr(0, length);
            const std::size_t space = record.find(' '), equals = record.find('=');
            if (space == std::string_view::npos || equals == std::string_view::npos || equals < space) return;
            const std::string key(record.substr(space + 1, equals - space - 1)),
                value(record.substr(equals + 1, length - equals - 2));
            if (key == "path") name_ = value;
            if (key == "size") size_ = std::strtoull(value.c_str(), nullptr, 10);
            text.remove_prefix(length);
        }
    }

    // "x/dump/shop/orders.bson" lies in shop/, whatever is above; nothing leads out of the folder.
    std::string place_of(const std::string& name) {
        std::vector<std::string> parts;
        for (std::string& each : split(name, '/'))
            if (!each.empty() && each != ".") parts.push_back(std::move(each));
        if (parts.empty() || std::ranges::find(parts, "..") != parts.end()) return "";
        const bool at_top = parts.size() == 1 || parts.back() == "oplog.bson";
        is_deep_ = is_deep_ || parts.size() > 2;
        folders_.insert(parts.size() == 1 ? "" : parts[parts.size() - 2]);
        return folder_ + "/" + (at_top ? "" : parts[parts.size() - 2] + "/") + parts.back();
    }

    void copy(const std::string& to, std::uint64_t size) {
        Fd file;
        if (!to.empty()) file = make_file(to);
        const std::uint64_t padded = (size + block - 1) / block * block;
        Bytes buffer(piece_bytes);
        for (std::uint64_t at = 0; at < padded;) {
            const std::size_t got =
                from_.read(MutableByteView(buffer).first(std::min<std::uint64_t>(buffer.size(), padded - at)));
            if (got == 0) throw Error{Code::source_failed, "the tar ends before its end"};
            if (file && at < size)
                write_all(file.get(), ByteView(buffer).first(std::min<std::uint64_t>(got, size - at)), to);
            at += got;
        }
    }

    World& world_;
    PlainFile from_;
    const std::string folder_;
    std::optional<std::string> name_;
    std::optional<std::uint64_t> size_;
    std::set<std::string> folders_;
    bool is_deep_ = false;
};

}  // namespace

PlainFile::PlainFile(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rbe")) {
    if (!file_) throw Error{Code::source_failed, "cannot read {}: {}", path, errno_text(errno)};
}

std::size_t PlainFile::read(MutableByteView into) {
    constexpr std::size_t at_once = 1U << 30;
    const int got = gzread(file_.get(), into.data(), static_cast<unsigned>(std::min(into.size(), at_once)));
    int problem = Z_OK;
    const char* const text = gzerror(file_.get(), &problem);
    if (got < 0 || (problem != Z_OK && problem != Z_STREAM_END))
        throw Error{Code::source_failed, "{} is damaged: {}", path_,
                    problem == Z_BUF_ERROR ? "it ends before its end" : text};
    return static_cast<std::size_t>(got);
}

Bytes PlainFile::read_all(std::size_t bytes_max) {
    Bytes out;
    while (true) {
        const std::size_t at = out.size();
        out.resize(at + piece_bytes);
        const std::size_t got = read(MutableByteView(out).subspan(at));
        out.resize(at + got);
        if (got == 0) return out;
        if (out.size() > bytes_max) throw Error{Code::source_failed, "{} is too large", path_};
    }
}

void unpack_archive(World& world, const std::string& path, const std::string& folder) {
    const Note note{"unpacking {}", path};
    PlainFile file(path);
    ToFolder sink(folder);
    ArchiveReader reader(sink);
    Bytes buffer(piece_bytes);
    try {
        while (const std::size_t got = file.read(buffer)) {
            world.stop.check();
            reader.feed(ByteView(buffer).first(got));
        }
        reader.finish();
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
        throw Error{Code::source_failed, "{}: {}", path, error.message()};
    }
}

std::string unpack_tar(World& world, const std::string& path, const std::string& folder) {
    const Note note{"unpacking {}", path};
    Untar untar(world, path, folder);
    untar.run();
    return untar.only_folder();
}

std::string dump_file_name(std::string_view collection) {
    constexpr std::string_view plain = "-_.~$&+=:@";
    std::string out;
    for (const char c : collection) {
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              plain.find(c) != std::string_view::npos;
        out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    if (out.size() <= name_bytes_max) return out;
    return out.substr(0, kept_bytes) + std::string(cut_mark) + sha1_text(collection);
}

std::string name_of_dump_file(std::string_view file) { return decode_part(file); }

bool is_cut_name(std::string_view file) {
    return file.size() == name_bytes_max && file.substr(kept_bytes).starts_with(cut_mark);
}

std::string dump_folder_name(std::string_view database) {
    if (database == "." || database == "..") return database == "." ? "%2E" : "%2E%2E";
    std::string out;
    for (const char c : database) out += c == '/' ? std::string("%2F") : std::string(1, c);
    return out;
}

}  // namespace holdfast::mongodb
