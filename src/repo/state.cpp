#include "repo/state.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t root_version = 1;
constexpr std::size_t root_piece_bytes = 1024 * 1024;

Bytes encode_rows(std::span<const StateRow> rows) {
    std::unordered_map<ChunkId, std::uint64_t, IdHash> numbers;
    std::vector<ChunkId> ids;
    for (const StateRow& row : rows)
        for (const Extent& extent : row.content)
            if (!extent.is_hole() && numbers.try_emplace(extent.chunk, ids.size()).second) ids.push_back(extent.chunk);
    Bytes out;
    ByteWriter writer(out);
    writer.varint(ids.size());
    for (const ChunkId& id : ids) writer.raw(id.view());
    writer.varint(rows.size());
    for (const StateRow& row : rows) {
        writer.u64(row.path);
        writer.u64(row.version);
        writer.varint(row.size);
        writer.varint(row.content.size());
        for (const Extent& extent : row.content) {
            writer.varint(extent.is_hole() ? 0 : numbers.at(extent.chunk) + 1);
            writer.varint(extent.offset);
            writer.varint(extent.length);
        }
    }
    return out;
}

}  // namespace

std::vector<StateRow> parse_state_block(ByteView bytes) {
    ByteReader reader(bytes, "a block of state");
    std::vector<ChunkId> ids;
    const std::size_t id_count = reader.count(ChunkId::size);
    for (std::size_t i = 0; i < id_count; ++i) ids.push_back(ChunkId::from(reader.raw(ChunkId::size)));
    const std::size_t rows = reader.count(18);
    std::vector<StateRow> out;
    out.reserve(rows);
    for (std::size_t i = 0; i < rows; ++i) {
        StateRow row;
        row.path = reader.u64();
        row.version = reader.u64();
        row.size = reader.varint();
        const std::size_t extents = reader.count(3);
        row.content.reserve(extents);
        for (std::size_t j = 0; j < extents; ++j) {
            Extent extent;
            const std::uint64_t number = reader.varint();
            if (number > ids.size()) reader.fail("a row names a chunk that its block does not have");
            if (number > 0) extent.chunk = ids[number - 1];
            extent.offset = static_cast<std::uint32_t>(reader.varint());
            extent.length = reader.varint();
            row.content.push_back(extent);
        }
        out.push_back(std::move(row));
    }
    reader.expect_done();
    return out;
}

std::pair<std::uint64_t, std::vector<StateBlock>> parse_state_root(ByteView bytes) {
    ByteReader reader(bytes, "a root of state");
    if (reader.u8() != root_version) reader.fail("it is of a version that this one does not know");
    const std::uint64_t gc_number = reader.varint();
    const std::size_t count = reader.count(68);
    std::vector<StateBlock> blocks;
    blocks.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        StateBlock block;
        block.id = ChunkId::from(reader.raw(ChunkId::size));
        block.leaf.id = ChunkId::from(reader.raw(ChunkId::size));
        block.leaf.first_key = reader.string();
        block.leaf.items = reader.varint();
        block.by_cut = reader.u8() == 1;
        block.rows = reader.varint();
        const std::size_t folders = reader.count(9);
        for (std::size_t j = 0; j < folders; ++j) {
            const std::uint64_t tag = reader.u64();
            block.folders.emplace_back(tag, static_cast<std::uint32_t>(reader.varint()));
        }
        if (block.rows != block.leaf.items) reader.fail("a block and its leaf differ in their items");
        blocks.push_back(std::move(block));
    }
    reader.expect_done();
    return {gc_number, std::move(blocks)};
}

std::uint64_t state_tag(const Keyring& keys, std::string_view text) {
    return crypto::tag64(keys.state_key(), as_bytes(text));
}

StateWriter::StateWriter(const Keyring& keys, PackWriter& packs) : keys_(keys), packs_(packs) {}

void StateWriter::add(std::string_view folder, StateRow row) {
    if (!has_folder_ || folder_ != folder || folders_.empty()) {
        folders_.emplace_back(state_tag(keys_, folder), static_cast<std::uint32_t>(rows_.size()));
        folder_ = folder;
        has_folder_ = true;
    }
    rows_.push_back(std::move(row));
}

void StateWriter::end_leaf(const TreeWriter::Ended& ended) {
    HF_ASSERT(rows_.size() == ended.leaf.items);
    StateBlock block;
    block.leaf = ended.leaf;
    block.by_cut = ended.by_cut;
    block.rows = rows_.size();
    block.folders = std::exchange(folders_, {});
    block.id = packs_.add_state(encode_rows(rows_)).id;
    rows_.clear();
    blocks_.push_back(std::move(block));
}

void StateWriter::reuse(const StateBlock& block) {
    HF_ASSERT(rows_.empty());
    blocks_.push_back(block);
}

ChunkId StateWriter::finish(std::uint64_t gc_number) {
    HF_ASSERT(rows_.empty());
    Bytes out;
    ByteWriter writer(out);
    writer.u8(root_version);
    writer.varint(gc_number);
    writer.varint(blocks_.size());
    for (const StateBlock& block : blocks_) {
        writer.raw(block.id.view());
        writer.raw(block.leaf.id.view());
        writer.string(block.leaf.first_key);
        writer.varint(block.leaf.items);
        writer.u8(block.by_cut ? 1 : 0);
        writer.varint(block.rows);
        writer.varint(block.folders.size());
        for (const auto& [tag, row] : block.folders) {
            writer.u64(tag);
            writer.varint(row);
        }
    }
    // The root is a list of pieces, so that a tree of any number of folders has one.
    Bytes root;
    ByteWriter head(root);
    head.varint((out.size() + root_piece_bytes - 1) / root_piece_bytes);
    for (std::size_t at = 0; at < out.size(); at += root_piece_bytes)
        head.raw(packs_.add_state(ByteView(out).subspan(at, std::min(root_piece_bytes, out.size() - at))).id.view());
    return packs_.add_state(root).id;
}

std::vector<ChunkId> parse_state_pieces(ByteView bytes) {
    ByteReader reader(bytes, "a root of state");
    const std::size_t count = reader.count(ChunkId::size);
    std::vector<ChunkId> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(ChunkId::from(reader.raw(ChunkId::size)));
    reader.expect_done();
    return out;
}

std::vector<ChunkId> state_chunks(ChunkReader& chunks, const ChunkId& root) {
    std::vector<ChunkId> out = parse_state_pieces(chunks.read_state(root));
    Bytes whole;
    for (const ChunkId& piece : out) {
        const Bytes part = chunks.read_state(piece);
        append(whole, part);
    }
    for (const StateBlock& block : parse_state_root(whole).second) out.push_back(block.id);
    out.push_back(root);
    return out;
}

StateReader::StateReader(const Keyring& keys, ChunkReader& chunks, const ChunkId& root) : keys_(keys), chunks_(chunks) {
    Bytes whole;
    for (const ChunkId& piece : parse_state_pieces(chunks.read_state(root))) {
        const Bytes part = chunks.read_state(piece);
        append(whole, part);
    }
    std::tie(gc_number_, blocks_) = parse_state_root(whole);
    for (std::size_t number = 0; number < blocks_.size(); ++number)
        for (const auto& [tag, row] : blocks_[number].folders) folders_.try_emplace(tag, Place{number, row});
}

std::shared_ptr<const std::vector<StateRow>> StateReader::rows_of(std::size_t block) {
    const auto have = loaded_.find(block);
    if (have != loaded_.end()) return have->second;
    if (lost_.contains(block)) return nullptr;
    auto rows = read_rows(block);
    if (!rows) {
        lost_.insert(block);
        return nullptr;
    }
    while (loaded_.size() >= 2) loaded_.erase(loaded_.begin());
    loaded_.emplace(block, rows);
    return rows;
}

std::shared_ptr<const std::vector<StateRow>> StateReader::read_rows(std::size_t block) {
    try {
        ahead_.reach(blocks_, block);
        auto rows = parse_state_block(chunks_.read_state(blocks_[block].id));
        if (rows.size() != blocks_[block].rows) return nullptr;
        return std::make_shared<const std::vector<StateRow>>(std::move(rows));
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
        return nullptr;
    }
}

void StateReader::begin_folder(std::string_view folder) {
    const std::uint64_t tag = state_tag(keys_, folder);
    if (in_folder_ && tag == folder_) return;  // the next batch of the same folder
    folder_ = tag;
    rest_.reset();
    const auto at = folders_.find(tag);
    in_folder_ = at != folders_.end();
    if (in_folder_) next_ = at->second;
}

// Moves next_ to the next block when this one has no more rows. False when the folder ends there.
bool StateReader::advance_to_end_of_block() {
    if (next_.row < blocks_[next_.block].rows) {
        // Another folder may begin at this very row.
        const auto& folders = blocks_[next_.block].folders;
        const auto at =
            std::ranges::lower_bound(folders, next_.row, {}, [](const auto& folder) { return folder.second; });
        return at == folders.end() || at->second != next_.row || at->first == folder_;
    }
    if (next_.block + 1 >= blocks_.size()) return false;
    const StateBlock& following = blocks_[next_.block + 1];
    if (following.folders.empty() || following.folders[0].first != folder_) return false;
    next_ = {next_.block + 1, 0};
    return true;
}

std::optional<StateReader::Found> StateReader::match(std::uint64_t path_tag) {
    if (!in_folder_) return std::nullopt;
    if (!rest_) {
        if (!advance_to_end_of_block()) return std::nullopt;
        const auto rows = rows_of(next_.block);
        if (rows && (*rows)[next_.row].path == path_tag) return Found{next_.block, next_.row++, rows};
        index_folder();
    }
    const auto at = rest_->find(path_tag);
    if (at == rest_->end()) return std::nullopt;
    const Place place = at->second;
    next_ = {place.block, place.row + 1};
    // The order is whole again from here on; what was passed over is gone.
    auto rows = rows_of(place.block);
    if (!rows) return std::nullopt;
    return Found{place.block, place.row, std::move(rows)};
}

// In the same block.
std::uint32_t StateReader::end_of_folder(const Place& at) const {
    const auto& folders = blocks_[at.block].folders;
    const auto next = std::ranges::upper_bound(folders, at.row, {}, [](const auto& folder) { return folder.second; });
    return next == folders.end() ? static_cast<std::uint32_t>(blocks_[at.block].rows) : next->second;
}

void StateReader::index_folder() {
    rest_.emplace();
    const Place here = next_;
    while (advance_to_end_of_block()) {
        const auto rows = rows_of(next_.block);
        const std::uint32_t end = end_of_folder(next_);
        for (; next_.row < end; ++next_.row)
            if (rows) rest_->emplace((*rows)[next_.row].path, next_);
    }
    next_ = here;
}

}  // namespace holdfast::repo
