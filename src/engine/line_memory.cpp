#include "engine/line_memory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/tag128.h"
#include "source/order_free_sum.h"

namespace holdfast::engine {

namespace {

constexpr std::string_view magic = "HFLINES1";
constexpr std::string_view what = "what is remembered of lines";
constexpr std::size_t sum_bytes = 16;
constexpr std::size_t footer_bytes = 12 + sum_bytes;
constexpr std::size_t tag_bytes = 12;
constexpr std::uint64_t index_bytes_max = 256 * 1024 * 1024;

constexpr std::uint64_t block_bytes = 1024 * 1024;  // of lines
constexpr std::uint32_t block_lines_max = 16 * 1024;
constexpr std::uint64_t anchor_each = 512;
constexpr std::size_t near_lines = 64;

// More pieces than this in a block, and it is stored anew, so that reading it back stays one run.
constexpr std::size_t runs_each_item = 512 * 1024;
constexpr std::size_t runs_each_block_min = 64;
constexpr std::size_t runs_each_block_max = 1024;

// Against damage of the disk: a wrong place would be a wrong backup.
void append_sum(Bytes& out, ByteView bytes) {
    const auto [low, high] = OrderFreeSum::hash(bytes);
    ByteWriter writer(out);
    writer.u64(low);
    writer.u64(high);
}

bool has_sum(ByteView bytes, ByteView sum) {
    Bytes found;
    append_sum(found, bytes);
    return equal(found, sum);
}

Bytes read_at(int fd, std::uint64_t offset, std::uint64_t bytes) {
    Bytes out(bytes);
    for (std::size_t done = 0; done < out.size();) {
        const ssize_t got = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) throw Error{Code::corrupt, "{} ends early", what};
        done += static_cast<std::size_t>(got);
    }
    return out;
}

}  // namespace

LineTag line_tag(const Secret& key, ByteView line) {
    const auto tag = crypto::tag128(key, line);
    LineTag out;
    std::memcpy(&out.high, tag.data(), sizeof out.high);
    std::memcpy(&out.low, tag.data() + 8, sizeof out.low);
    std::memcpy(&out.draw, tag.data() + 8, sizeof out.draw);
    return out;
}

std::unique_ptr<KnownLines> KnownLines::open(const std::string& path, Knows knows) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return nullptr;
    std::unique_ptr<KnownLines> out(new KnownLines(std::move(file), std::move(knows)));
    try {
        out->read_index();
    } catch (const Error&) {
        return nullptr;
    }
    return out;
}

void KnownLines::read_index() {
    struct stat info {};
    if (::fstat(file_.get(), &info) != 0 || info.st_size < static_cast<off_t>(magic.size() + footer_bytes))
        throw Error{Code::corrupt, "{} is too short", what};
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (as_text(read_at(file_.get(), 0, magic.size())) != magic) throw Error{Code::corrupt, "{} is of no kind", what};
    const Bytes footer = read_at(file_.get(), size - footer_bytes, footer_bytes);
    ByteReader tail(footer, what);
    const std::uint64_t bytes = tail.u32();
    const std::uint64_t offset = tail.u64();
    if (bytes > index_bytes_max || offset + bytes + footer_bytes != size) tail.fail("its end makes no sense");
    const Bytes index = read_at(file_.get(), offset, bytes);
    if (!has_sum(index, ByteView(footer).last(sum_bytes))) tail.fail("it is damaged");

    ByteReader in(index, what);
    chunks_.resize(in.count(repo::ChunkId::size + 5));
    for (Chunk& each : chunks_) {
        each.chunk.id = repo::ChunkId::from(in.raw(repo::ChunkId::size));
        each.chunk.bytes = in.u32();
        each.is_worn = in.u8() != 0;
    }
    blocks_.resize(in.count(5));
    std::uint64_t at = magic.size();
    for (Block& each : blocks_) {
        each.offset = at;
        each.bytes = in.u32();
        each.is_scattered = in.u8() != 0;
        at += each.bytes;
    }
    if (at > offset) in.fail("its blocks make no sense");
    anchors_.resize(in.count(16));
    for (Anchor& each : anchors_) {
        each.tag = in.u64();
        each.block = in.u32();
        each.line = in.u32();
        if (each.block >= blocks_.size()) in.fail("its anchors make no sense");
    }
    in.expect_done();
    std::ranges::sort(anchors_, {}, &Anchor::tag);
}

void KnownLines::append_block(std::size_t number, std::vector<Line>& to) {
    const Block& block = blocks_[number];
    if (block.is_scattered) return;
    const Bytes bytes = read_at(file_.get(), block.offset, block.bytes);
    if (bytes.size() < sum_bytes) throw Error{Code::corrupt, "{} has a block that is too short", what};
    const ByteView body = ByteView(bytes).first(bytes.size() - sum_bytes);
    if (!has_sum(body, ByteView(bytes).last(sum_bytes))) throw Error{Code::corrupt, "{} is damaged", what};
    ByteReader in(body, what);
    while (!in.done()) {
        Line line;
        line.chunk = static_cast<std::uint32_t>(in.varint());
        std::uint64_t offset = in.varint();
        if (line.chunk >= chunks_.size()) in.fail("it names a chunk that it does not have");
        for (std::uint64_t left = in.varint(); left > 0; --left) {
            const ByteView tag_here = in.raw(tag_bytes);
            std::memcpy(&line.tag.high, tag_here.data(), sizeof line.tag.high);
            std::memcpy(&line.tag.low, tag_here.data() + sizeof line.tag.high, sizeof line.tag.low);
            line.length = static_cast<std::uint32_t>(in.varint());
            line.offset = static_cast<std::uint32_t>(offset);
            offset += line.length;
            if (offset > chunks_[line.chunk].chunk.bytes) in.fail("a line lies outside its chunk");
            to.push_back(line);
        }
    }
}

std::optional<LinePlace> KnownLines::place_of(const Line& line) {
    Chunk& chunk = chunks_[line.chunk];
    if (!chunk.was_looked_for) {
        chunk.was_looked_for = true;
        chunk.is_there = !chunk.is_worn && knows_(chunk.chunk.id);
    }
    if (!chunk.is_there) return std::nullopt;
    return LinePlace{&chunk.chunk, line.offset};
}

std::optional<LinePlace> KnownLines::find_near(Cursor& cursor, const LineTag& tag, std::size_t length) {
    while (cursor.lines.size() - cursor.next < near_lines && cursor.block_after < blocks_.size()) {
        cursor.lines.erase(cursor.lines.begin(), cursor.lines.begin() + static_cast<std::ptrdiff_t>(cursor.next));
        cursor.next = 0;
        append_block(cursor.block_after++, cursor.lines);
    }
    const std::size_t end = std::min(cursor.lines.size(), cursor.next + near_lines);
    for (std::size_t i = cursor.next; i < end; ++i) {
        const Line& line = cursor.lines[i];
        if (line.tag != tag || line.length != length) continue;
        cursor.next = i + 1;
        return place_of(line);
    }
    return std::nullopt;
}

// Puts the cursor on a line with this tag.
bool KnownLines::jump(Cursor& cursor, const LineTag& tag) {
    const auto anchor = std::ranges::lower_bound(anchors_, tag.high, {}, &Anchor::tag);
    if (anchor == anchors_.end() || anchor->tag != tag.high) return false;
    cursor.lines.clear();
    append_block(anchor->block, cursor.lines);
    cursor.next = std::min<std::size_t>(anchor->line, cursor.lines.size());
    cursor.block_after = anchor->block + 1;
    return true;
}

std::optional<LinePlace> KnownLines::find(const LineTag& tag, std::size_t length) {
    if (is_damaged_) return std::nullopt;
    try {
        if (auto place = find_near(cursor_, tag, length)) return place;
        std::optional<LinePlace> place = find_near(other_, tag, length);
        if (!place && tag.high % anchor_each == 0 && jump(other_, tag)) place = find_near(other_, tag, length);
        if (place) std::swap(cursor_, other_);
        return place;
    } catch (const Error&) {
        is_damaged_ = true;
        return std::nullopt;
    }
}

LineRecord::LineRecord(const std::string& path, std::uint64_t expected_bytes)
    : path_(path),
      runs_max_(std::clamp<std::size_t>(runs_each_item / (1 + expected_bytes / block_bytes), runs_each_block_min,
                                        runs_each_block_max)),
      file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    write(as_bytes(magic));
}

LineRecord::~LineRecord() {
    if (!is_finished_) ::unlink(path_.c_str());
}

// Space will be spent when it cannot be written, nothing is lost.
void LineRecord::write(ByteView bytes) {
    if (!file_) return;
    try {
        write_all(file_.get(), bytes, path_);
        written_ += bytes.size();
    } catch (const Error&) {
        file_.reset();
    }
}

void LineRecord::add(const LineTag& tag, std::size_t length, std::uint32_t chunk, std::uint32_t offset) {
    if (!file_) return;
    if (run_.lines == 0 || run_.chunk != chunk || run_.end != offset) {
        end_run();
        run_.chunk = chunk;
        run_.offset = run_.end = offset;
    }
    if (tag.high % anchor_each == 0) {
        ByteWriter out(anchors_of_block_);
        out.u64(tag.high);
        out.u32(block_count_);
        out.u32(lines_);
    }
    std::array<std::uint8_t, tag_bytes> encoded;
    std::memcpy(encoded.data(), &tag.high, sizeof tag.high);
    std::memcpy(encoded.data() + sizeof tag.high, &tag.low, sizeof tag.low);
    ByteWriter out(run_.encoded);
    out.raw(encoded);
    out.varint(length);
    ++run_.lines;
    run_.end += static_cast<std::uint32_t>(length);
    if (live_.size() <= chunk) live_.resize(chunk + 1);
    live_[chunk] += length;
    ++lines_;
    bytes_ += length;
    if (bytes_ >= block_bytes || lines_ >= block_lines_max) end_block();
}

void LineRecord::end_run() {
    if (run_.lines == 0) return;
    ByteWriter out(body_);
    out.varint(run_.chunk);
    out.varint(run_.offset);
    out.varint(run_.lines);
    out.raw(run_.encoded);
    ++runs_;
    run_.lines = 0;
    run_.encoded.clear();
}

void LineRecord::end_block() {
    end_run();
    if (lines_ == 0) return;
    const bool is_scattered = runs_ > runs_max_;
    if (!is_scattered) append(anchors_, anchors_of_block_);
    Bytes sum;
    append_sum(sum, body_);
    append(body_, sum);
    ByteWriter out(blocks_);
    out.u32(static_cast<std::uint32_t>(body_.size()));
    out.u8(is_scattered ? 1 : 0);
    ++block_count_;
    write(body_);
    body_.clear();
    anchors_of_block_.clear();
    bytes_ = 0;
    lines_ = 0;
    runs_ = 0;
}

bool LineRecord::finish(const std::vector<LineChunk>& chunks) {
    end_block();
    live_.resize(chunks.size());
    Bytes index;
    ByteWriter out(index);
    out.varint(chunks.size());
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        out.raw(chunks[i].id.view());
        out.u32(chunks[i].bytes);
        out.u8(2 * live_[i] < chunks[i].bytes ? 1 : 0);
    }
    out.varint(block_count_);
    out.raw(blocks_);
    out.varint(anchors_.size() / 16);
    out.raw(anchors_);
    const std::uint64_t at = written_;
    write(index);
    Bytes footer;
    ByteWriter tail(footer);
    tail.u32(static_cast<std::uint32_t>(index.size()));
    tail.u64(at);
    append_sum(footer, index);
    write(footer);
    is_finished_ = static_cast<bool>(file_);
    file_.reset();
    return is_finished_;
}

LineMemory::LineMemory(const std::string& client_folder, const repo::Keyring& keys, const std::string& source,
                       const std::string& host)
    : key_(crypto::derive(keys.domain().bundle_key.reveal(), {}, "holdfast lines")) {
    if (client_folder.empty()) return;
    const std::string place = fmt::format("{}\n{}", source, host);
    folder_ = fmt::format("{}/lines/{}-{:016x}", client_folder, keys.repository().hex(),
                          crypto::tag64(key_, as_bytes(place)));
}

LineMemory::~LineMemory() {
    if (is_committed_) return;
    for (const std::string& item : kept_) ::unlink(new_path_of(item).c_str());
}

std::string LineMemory::path_of(const std::string& item) const {
    return fmt::format("{}/{}", folder_, to_hex(crypto::tag128(key_, as_bytes(item))));
}

// Several processes may capture one source at once.
std::string LineMemory::new_path_of(const std::string& item) const {
    return fmt::format("{}.{}", path_of(item), ::getpid());
}

std::unique_ptr<KnownLines> LineMemory::known(const std::string& item, KnownLines::Knows knows) const {
    return folder_.empty() || knows_nothing_ ? nullptr : KnownLines::open(path_of(item), std::move(knows));
}

std::unique_ptr<LineRecord> LineMemory::record(const std::string& item, std::uint64_t expected_bytes) {
    if (folder_.empty()) return nullptr;
    std::error_code problem;
    std::filesystem::create_directories(folder_, problem);
    return std::make_unique<LineRecord>(new_path_of(item), expected_bytes);
}

void LineMemory::keep(const std::string& item) {
    const std::lock_guard lock(mutex_);
    kept_.insert(item);
}

void LineMemory::commit() {
    const std::lock_guard lock(mutex_);
    is_committed_ = true;
    if (folder_.empty()) return;
    std::set<std::string> present;
    for (const std::string& item : kept_) {
        ::rename(new_path_of(item).c_str(), path_of(item).c_str());
        present.insert(path_of(item));
    }
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, problem))
        if (!present.contains(entry.path().string())) std::filesystem::remove(entry.path(), problem);
}

}  // namespace holdfast::engine
