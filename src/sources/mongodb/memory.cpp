#include "sources/mongodb/memory.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace holdfast::mongodb {

namespace {

constexpr std::string_view magic = "HFMONGO3";
constexpr std::size_t buffer_bytes = 256 * 1024;
constexpr std::uint32_t block_rows = 1024;
constexpr std::size_t row_bytes = DocumentHash::size + sizeof(std::uint32_t);
constexpr std::size_t first_key_bytes_max = 1024;  // cut short it sorts in front, which is only less exact
constexpr std::size_t block_bytes_max = 64 + first_key_bytes_max + block_rows * row_bytes;
constexpr std::size_t name_bytes = 16;

using Checksum = std::array<std::uint8_t, 16>;

void hash(MutableByteView into, ByteView key, ByteView bytes) {
    crypto_generichash(into.data(), into.size(), bytes.data(), bytes.size(), key.data(), key.size());
}

std::string file_name(std::string_view text) {
    std::array<std::uint8_t, name_bytes> out{};
    hash(out, {}, as_bytes(text));
    return to_hex(out);
}

}  // namespace

std::unique_ptr<MemoryReader> MemoryReader::open(const std::string& path) {
    if (path.empty()) return nullptr;
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return nullptr;
    std::unique_ptr<MemoryReader> out(new MemoryReader(std::move(file)));
    Bytes head(magic.size() + ContentVersion::size + HashKey::size);
    if (!out->file_.take(head) || as_text(ByteView(head).first(magic.size())) != magic) return nullptr;
    out->version_ = ContentVersion::from(ByteView(head).subspan(magic.size()));
    out->hash_key_ = HashKey::from(ByteView(head).subspan(magic.size() + ContentVersion::size));
    out->next_ = out->read_block();
    return out;
}

std::optional<ByteRange> MemoryReader::find(const std::string& order_key, const DocumentHash& hash) {
    while (next_ && next_->first_key <= order_key) {
        block_ = std::move(*next_);
        next_ = read_block();
    }
    const auto found = block_.rows.find(hash);
    return found == block_.rows.end() ? std::nullopt : std::optional(found->second);
}

// Nothing at the end, and where it is damaged.
std::optional<MemoryReader::Block> MemoryReader::read_block() {
    std::array<std::uint8_t, sizeof(std::uint32_t)> length{};
    if (!file_.take(length)) return std::nullopt;
    const std::uint32_t bytes = ByteReader(length, "memory").u32();
    if (bytes > block_bytes_max) return std::nullopt;
    Bytes body(bytes);
    Checksum said{}, found{};
    if (!file_.take(body) || !file_.take(said)) return std::nullopt;
    hash(found, hash_key_.view(), body);
    if (said != found) return std::nullopt;
    ByteReader in(body, "the memory of a collection");
    Block out;
    std::uint64_t at = in.u64();
    out.first_key = in.string();
    const std::size_t rows = in.count(row_bytes);
    out.rows.reserve(rows);
    for (std::size_t i = 0; i < rows; ++i) {
        const DocumentHash hash = DocumentHash::from(in.raw(DocumentHash::size));
        const std::uint32_t length_of_row = in.u32();
        out.rows.emplace(hash, ByteRange{at, at + length_of_row});
        at += length_of_row;
    }
    return out;
}

MemoryWriter::MemoryWriter(std::string path, const ContentVersion& version, const HashKey& hash_key)
    : path_(std::move(path)), temporary_(path_ + "." + version.hex()), hash_key_(hash_key) {
    if (path_.empty()) return;
    std::error_code problem;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), problem);
    file_ = Fd(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    append(out_, as_bytes(magic));
    append(out_, version.view());
    append(out_, hash_key.view());
}

MemoryWriter::~MemoryWriter() {
    if (!path_.empty() && !is_kept_) ::unlink(temporary_.c_str());
}

void MemoryWriter::add(const std::string& order_key, const DocumentHash& hash, std::uint32_t bytes) {
    if (!file_) return;
    if (row_count_ == 0) {
        first_key_ = order_key.substr(0, first_key_bytes_max);
        block_begin_ = at_;
    }
    ByteWriter out(rows_);
    out.raw(hash.view());
    out.u32(bytes);
    at_ += bytes;
    if (++row_count_ == block_rows) end_block();
}

void MemoryWriter::end_block() {
    if (row_count_ == 0) return;
    Bytes body;
    ByteWriter writer(body);
    writer.u64(block_begin_);
    writer.string(first_key_);
    writer.varint(row_count_);
    writer.raw(rows_);
    Checksum sum{};
    hash(sum, hash_key_.view(), body);
    ByteWriter out(out_);
    out.u32(static_cast<std::uint32_t>(body.size()));
    out.raw(body);
    out.raw(sum);
    rows_.clear();
    row_count_ = 0;
    if (out_.size() >= buffer_bytes) flush();
}

void MemoryWriter::flush() {
    try {
        write_all(file_.get(), out_, temporary_);
    } catch (const Error&) {
        file_.reset();  // space will be spent, nothing is lost
    }
    out_.clear();
}

void MemoryWriter::end() {
    if (!file_) return;
    end_block();
    flush();
    has_ended_ = static_cast<bool>(file_);
    file_.reset();
}

void MemoryWriter::keep() {
    if (has_ended_ && ::rename(temporary_.c_str(), path_.c_str()) == 0) is_kept_ = true;
}

std::string memory_folder(const std::string& source, const std::string& place) {
    const std::string folder = state_folder();
    return folder.empty() ? "" : folder + "/mongodb/" + file_name(source + '\0' + place);
}

std::string memory_path(const std::string& folder, const std::string& item) {
    return folder.empty() ? "" : folder + "/" + file_name(item) + ".documents";
}

}  // namespace holdfast::mongodb
