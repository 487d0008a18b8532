#include "sources/redis/memory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/error.h"

namespace holdfast::redis {

namespace {

constexpr std::string_view magic = "HFREDIS3";
constexpr std::size_t buffer_bytes = 256 * 1024;
constexpr std::size_t trailer_bytes = 16;
constexpr std::uint32_t rows_max = 1 << 28;

bool is_whole(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || info.st_size < static_cast<off_t>(magic.size() + seed_bytes + trailer_bytes))
        return false;
    auto left = static_cast<std::uint64_t>(info.st_size) - trailer_bytes;
    Hash128 hash(20);
    Bytes buffer(buffer_bytes);
    while (left > 0) {
        const ssize_t got = ::read(fd, buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
        if (got <= 0) return false;
        hash.add(ByteView(buffer).first(static_cast<std::size_t>(got)));
        left -= static_cast<std::uint64_t>(got);
    }
    std::array<std::uint8_t, trailer_bytes> trailer{};
    if (::read(fd, trailer.data(), trailer.size()) != static_cast<ssize_t>(trailer.size())) return false;
    ByteReader in(trailer, "the memory of a Redis source");
    const Sum128 expected{in.u64(), in.u64()};
    return expected == hash.value() && ::lseek(fd, 0, SEEK_SET) == 0;
}

}  // namespace

std::unique_ptr<MemoryReader> MemoryReader::open(const std::string& path) {
    if (path.empty()) return nullptr;
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file || !is_whole(file.get())) return nullptr;
    std::unique_ptr<MemoryReader> out(new MemoryReader(std::move(file)));
    try {
        std::array<std::uint8_t, magic.size() + seed_bytes + 4> head{};
        out->take(head);
        ByteReader in(head, "the memory of a Redis source");
        if (as_text(in.raw(magic.size())) != magic) return nullptr;
        out->seed_ = to_bytes(in.raw(seed_bytes));
        const std::uint32_t databases = in.u32();
        for (std::uint32_t i = 0; i < databases; ++i) {
            std::array<std::uint8_t, 9> one{};
            out->take(one);
            ByteReader row(one, "the memory of a Redis source");
            const std::uint64_t number = row.u64();
            out->bits_[number] = row.u8();
        }
    } catch (const Error&) {
        return nullptr;
    }
    out->database_ = out->bits_.begin();
    return out;
}

std::optional<unsigned> MemoryReader::bits(std::uint64_t database) const {
    const auto found = bits_.find(database);
    return found == bits_.end() ? std::nullopt : std::optional(found->second);
}

void MemoryReader::take(MutableByteView into) {
    if (!file_.take(into)) throw Error{Code::failed, "the memory of a Redis source cannot be read"};
}

Remembered MemoryReader::read_bucket() {
    Remembered out;
    std::array<std::uint8_t, 5> head{};
    take(head);
    ByteReader in(head, "the memory of a Redis source");
    const std::size_t layers = in.u8();
    const std::uint32_t rows = in.u32();
    if (layers > layers_max + 1 || rows > rows_max) in.fail("it makes no sense");
    for (std::size_t i = 0; i < layers; ++i) {
        std::array<std::uint8_t, LayerId::size + 12> raw{};
        take(raw);
        ByteReader one(raw, "the memory of a Redis source");
        Layer& layer = out.layers.emplace_back();
        layer.id = LayerId::from(one.raw(LayerId::size));
        layer.number = one.u32();
        layer.bytes = one.u64();
    }
    out.rows.reserve(rows);
    for (std::uint32_t i = 0; i < rows; ++i) {
        std::array<std::uint8_t, KeyId::size + ValueId::size + 1> raw{};
        take(raw);
        ByteReader one(raw, "the memory of a Redis source");
        Remembered::Row& row = out.rows.emplace_back();
        row.id = KeyId::from(one.raw(KeyId::size));
        row.value_id = ValueId::from(one.raw(ValueId::size));
        row.layer = one.u8();
        if (row.layer >= layers) one.fail("it makes no sense");
    }
    // They are, unless some are gone.
    if (!std::ranges::is_sorted(out.rows, {}, &Remembered::Row::id))
        std::ranges::sort(out.rows, {}, &Remembered::Row::id);
    return out;
}

Remembered MemoryReader::read(std::uint64_t database, std::size_t bucket) {
    while (database_ != bits_.end()) {
        if (ByText()(database, database_->first)) return {};
        const bool is_it = database_->first == database && bucket_ == bucket;
        Remembered out = read_bucket();
        if (++bucket_ == std::size_t{1} << database_->second) {
            ++database_;
            bucket_ = 0;
        }
        if (is_it) return out;
    }
    return {};
}

MemoryWriter::MemoryWriter(std::string path, ByteView seed, const BitsByDatabase& bits)
    : path_(std::move(path)), temporary_(path_ + ".new"), hash_(20) {
    if (path_.empty()) return;
    std::error_code problem;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), problem);
    file_ = Fd(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    ByteWriter out(out_);
    out.raw(as_bytes(magic));
    out.raw(seed);
    out.u32(static_cast<std::uint32_t>(bits.size()));
    for (const auto& [number, each] : bits) {
        out.u64(number);
        out.u8(static_cast<std::uint8_t>(each));
    }
}

MemoryWriter::~MemoryWriter() {
    if (file_ && !is_done_) ::unlink(temporary_.c_str());
}

void MemoryWriter::add(const Remembered& bucket) {
    if (!file_) return;
    ByteWriter out(out_);
    out.u8(static_cast<std::uint8_t>(bucket.layers.size()));
    out.u32(static_cast<std::uint32_t>(bucket.rows.size()));
    for (const Layer& layer : bucket.layers) {
        out.raw(layer.id.view());
        out.u32(layer.number);
        out.u64(layer.bytes);
    }
    for (const Remembered::Row& row : bucket.rows) {
        out.raw(row.id.view());
        out.raw(row.value_id.view());
        out.u8(row.layer);
    }
    if (out_.size() >= buffer_bytes) flush();
}

void MemoryWriter::flush() {
    hash_.add(ByteView(out_));
    try {
        write_all(file_.get(), out_, temporary_);
    } catch (const Error&) {
        // Space will be spent, nothing is lost.
        file_.reset();
        ::unlink(temporary_.c_str());
    }
    out_.clear();
}

void MemoryWriter::commit() {
    if (!file_) return;
    flush();
    if (!file_) return;
    const Sum128 sum = hash_.value();
    ByteWriter out(out_);
    out.u64(sum.low);
    out.u64(sum.high);
    flush();
    if (file_ && ::rename(temporary_.c_str(), path_.c_str()) == 0) is_done_ = true;
}

std::string memory_path(const std::string& source, const std::string& place) {
    const std::string folder = state_folder();
    if (folder.empty()) return "";
    Hash128 hash(21);
    hash.string(as_bytes(source));
    hash.string(as_bytes(place));
    return folder + "/redis/" + hash.value().hex() + ".layers";
}

}  // namespace holdfast::redis
