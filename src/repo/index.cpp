#include "repo/index.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "repo/names.h"
#include "store/read_many.h"

namespace holdfast::repo {

namespace {

constexpr std::string_view magic = "HFIX";
constexpr std::size_t record_bytes = 16 + 4 + 4 + 4;
constexpr std::size_t block_records = 64 * 1024 / record_bytes;
constexpr std::size_t block_bytes_max = block_records * record_bytes + crypto::tag_bytes;
constexpr std::size_t filter_bits_each = 12;
constexpr std::size_t blocks_at_once_max = 64;  // 4 MiB
constexpr std::size_t misses_each_block = 4;
// One request for all of a fragment costs less than several.
constexpr std::uint64_t whole_bytes_max = 32 * 1024;
constexpr std::uint64_t whole_index_max = 512 * 1024;

std::uint64_t key_of(ByteView id) {
    std::uint64_t value;
    std::memcpy(&value, id.data(), 8);
    return __builtin_bswap64(value);
}

// The second half of an id prefix drives a split filter: one 64-byte line, one bit in each of its 8 words.
struct FilterSlot {
    std::size_t line;
    std::array<std::uint8_t, 8> bit;
};
FilterSlot filter_slot(ByteView id, std::size_t lines) {
    std::uint64_t low, high;
    std::memcpy(&low, id.data() + 8, 8);
    std::memcpy(&high, id.data(), 8);
    FilterSlot slot{static_cast<std::size_t>(low % lines), {}};
    std::uint64_t bits = (low / lines) ^ (high * 0x9E3779B97F4A7C15ULL);
    for (std::uint8_t& bit : slot.bit) {
        bit = static_cast<std::uint8_t>(bits & 63);
        bits >>= 6;
    }
    return slot;
}
bool filter_has(ByteView filter, ByteView id) {
    const FilterSlot slot = filter_slot(id, filter.size() / 64);
    for (std::size_t word = 0; word < 8; ++word) {
        const std::size_t byte = slot.line * 64 + word * 8 + slot.bit[word] / 8;
        if ((filter[byte] >> (slot.bit[word] % 8) & 1) == 0) return false;
    }
    return true;
}
void filter_add(MutableByteView filter, ByteView id) {
    const FilterSlot slot = filter_slot(id, filter.size() / 64);
    for (std::size_t word = 0; word < 8; ++word) {
        std::uint8_t& byte = filter[slot.line * 64 + word * 8 + slot.bit[word] / 8];
        byte = static_cast<std::uint8_t>(byte | 1U << (slot.bit[word] % 8));
    }
}

Secret fragment_key(const Keyring& keys, ByteView salt, std::string_view part) {
    return crypto::derive(keys.index_key().reveal(), salt, part);
}
Secret block_key(const Keyring& keys, ByteView salt, std::size_t number) {
    return fragment_key(keys, salt, fmt::format("block {}", number));
}

}  // namespace

EncodedFragment encode_fragment(const Keyring& keys, std::span<const PackContents> packs, Random& random) {
    std::vector<IndexedPack> listed;
    std::vector<IndexRecord> records;
    for (const PackContents& pack : packs) {
        for (const ChunkPlace& place : pack.places)
            records.push_back(
                {prefix_of(place.id), static_cast<std::uint32_t>(listed.size()), place.offset, place.length});
        listed.push_back({pack.pack, pack.bytes});
    }
    return encode_fragment(keys, listed, std::move(records), random);
}

EncodedFragment encode_fragment(const Keyring& keys, std::span<const IndexedPack> packs,
                                std::vector<IndexRecord> records, Random& random) {
    std::ranges::sort(records, {}, [](const IndexRecord& record) { return record.id; });

    const auto salt = random.array<16>();
    EncodedFragment out;
    ByteWriter file(out.bytes);
    file.raw(as_bytes(magic));
    file.u8(1);
    file.raw(salt);

    Bytes header;
    ByteWriter head(header);
    head.varint(packs.size());
    for (const IndexedPack& pack : packs) {
        head.u8(static_cast<std::uint8_t>(pack.ref.kind));
        head.raw(pack.ref.id.view());
        head.varint(pack.bytes);
    }
    const std::size_t lines = std::max<std::size_t>(1, (records.size() * filter_bits_each + 511) / 512);
    Bytes filter(lines * 64, 0);
    head.varint((records.size() + block_records - 1) / block_records);
    Bytes plain;
    for (std::size_t begin = 0; begin < records.size(); begin += block_records) {
        plain.clear();
        ByteWriter block(plain);
        for (std::size_t i = begin; i < std::min(records.size(), begin + block_records); ++i) {
            const IndexRecord& record = records[i];
            filter_add(filter, record.id.view());
            block.raw(record.id.view());
            block.u32(record.pack);
            block.u32(record.offset);
            block.u32(record.length);
        }
        const Bytes sealed = crypto::seal(block_key(keys, salt, begin / block_records), {}, plain);
        head.u64(key_of(records[begin].id.view()));
        head.u32(static_cast<std::uint32_t>(out.bytes.size()));
        head.u32(static_cast<std::uint32_t>(sealed.size()));
        head.raw(ByteView(sealed).last(crypto::tag_bytes));
        file.raw(sealed);
    }
    head.varint(records.size());
    head.string(filter);
    const Bytes sealed_header = crypto::seal(fragment_key(keys, salt, "header"), {}, header);
    file.raw(sealed_header);
    file.u32(static_cast<std::uint32_t>(sealed_header.size()));

    out.body.id = FragmentId{crypto::sha256(out.bytes)};
    out.body.bytes = out.bytes.size();
    out.body.header_bytes = static_cast<std::uint32_t>(sealed_header.size());
    out.body.header_hash = crypto::sha256(sealed_header);
    out.body.chunks = records.size();
    return out;
}

// The header is authenticated by its hash in the signed FRAGMENT entry, blocks by their tags in the header: a store
// together with someone who knows the index key cannot exchange a block.
Fragment::Fragment(Store& store, const Keyring& keys, const KnownFragment& known, std::shared_ptr<BlockCache> cache,
                   bool all, const Bytes* here)
    : store_(store), keys_(keys), known_(known), cache_(std::move(cache)), number_(cache_->number_a_fragment()) {
    const std::string object = names::fragment(known.body.id);
    const Note note{"loading {}", object};
    const std::size_t tail_bytes = known.body.header_bytes + 4;
    const std::size_t lead_bytes = magic.size() + 1 + salt_.size();
    if (known.body.bytes < tail_bytes + lead_bytes)
        throw Error{Code::corrupt, "{} is said to be shorter than its header", object};
    all = all || known.body.bytes <= whole_bytes_max;
    std::optional<Bytes> tail, lead;
    if (here != nullptr)
        lead = tail = *here;
    else if (all)
        lead = tail = store.read(object);
    else
        for_each_number(store, 2, [&](std::size_t end) {
            if (end == 0)
                lead = store.read_range(object, 0, lead_bytes);
            else
                tail = store.read_range(object, known.body.bytes - tail_bytes, tail_bytes);
        });
    if (!lead || !tail)
        throw Error{Code::corrupt, "{} is missing", object}.hint(
            "Bring the object back from a copy of the bucket or folder; a `holdfast copy` of the repository has the "
            "snapshots.");
    if ((all || here != nullptr) && tail->size() > tail_bytes)
        tail->erase(tail->begin(), tail->end() - static_cast<std::ptrdiff_t>(tail_bytes));
    ByteReader reader(*lead, object);
    if (as_text(reader.raw(magic.size())) != magic || reader.u8() != 1)
        reader.fail("it does not begin as an index fragment does");
    salt_ = reader.array<16>();
    if (tail->size() != tail_bytes) throw Error{Code::corrupt, "{} is shorter than its log entry says", object};
    const ByteView sealed = ByteView(*tail).first(known.body.header_bytes);
    if (crypto::sha256(sealed) != known.body.header_hash)
        throw Error{Code::corrupt, "the header of {} is not the one that was signed", object};
    const auto header = crypto::open(fragment_key(keys, salt_, "header"), {}, sealed);
    if (!header) throw Error{Code::corrupt, "the header of {} does not authenticate", object};
    ByteReader head(*header, object);
    const std::size_t packs = head.count(34);
    for (std::size_t i = 0; i < packs; ++i) {
        IndexedPack pack;
        const std::uint8_t kind = head.u8();
        if (kind < 1 || kind > 3) head.fail("a pack is of a kind that this version does not know");
        pack.ref = {static_cast<PackKind>(kind), PackId::from(head.raw(PackId::size))};
        pack.bytes = head.varint();
        packs_.push_back(pack);
    }
    std::uint32_t end_of_blocks = 0;
    const std::size_t blocks = head.count(32);
    for (std::size_t i = 0; i < blocks; ++i) {
        Block block{head.u64(), head.u32(), head.u32(), head.array<crypto::tag_bytes>()};
        // Runs of them are read at once: whoever signed this may not have us ask for more than there is.
        if (block.offset < end_of_blocks || block.bytes > block_bytes_max ||
            std::uint64_t{block.offset} + block.bytes > known.body.bytes)
            head.fail("its blocks do not lie one behind the other");
        end_of_blocks = block.offset + block.bytes;
        blocks_.push_back(block);
    }
    if (head.varint() != known.body.chunks) head.fail("its number of chunks differs from its log entry");
    filter_ = to_bytes(head.string_view());
    if (filter_.empty() || filter_.size() % 64 != 0) head.fail("its filter has an impossible size");
    head.expect_done();
    if (all) keep(0, opened(0, blocks_.size(), *lead, 0));
    cache_->expect(blocks_.size());
}

Fragment::~Fragment() { cache_->expect_no_longer(blocks_.size()); }

BlockCache::Block BlockCache::find(std::uint32_t fragment, std::size_t block) {
    const std::lock_guard lock(mutex_);
    const auto at = places_.find(key_of(fragment, block));
    if (at == places_.end()) return nullptr;
    held_.splice(held_.begin(), held_, at->second);
    return at->second->bytes;
}

void BlockCache::put(std::uint32_t fragment, std::size_t block, Block bytes) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t key = key_of(fragment, block);
    if (places_.contains(key)) return;
    held_.push_front({key, std::move(bytes)});
    places_[key] = held_.begin();
    if (held_.size() <= blocks_max) return;
    places_.erase(held_.back().key);
    held_.pop_back();
}

std::vector<BlockCache::Block> Fragment::fetch(std::size_t first, std::size_t count) {
    const std::string object = names::fragment(known_.body.id);
    const std::uint32_t begin = blocks_[first].offset;
    const Block& last = blocks_[first + count - 1];
    const auto sealed = store_.read_range(object, begin, std::uint64_t{last.offset} + last.bytes - begin);
    if (!sealed) throw Error{Code::corrupt, "{} is missing", object};
    return opened(first, count, *sealed, begin);
}

std::vector<BlockCache::Block> Fragment::opened(std::size_t first, std::size_t count, ByteView sealed,
                                                std::uint32_t begin) const {
    std::vector<BlockCache::Block> out(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Block& block = blocks_[first + i];
        const std::uint64_t at = block.offset - begin;
        if (block.offset < begin || at + block.bytes > sealed.size() || block.bytes < crypto::tag_bytes) continue;
        const ByteView bytes = sealed.subspan(at, block.bytes);
        if (!equal(bytes.last(crypto::tag_bytes), block.tag)) continue;
        auto plain = crypto::open(block_key(keys_, salt_, first + i), {}, bytes);
        if (plain && plain->size() % record_bytes == 0) out[i] = std::make_shared<const Bytes>(std::move(*plain));
    }
    return out;
}

void Fragment::keep(std::size_t first, const std::vector<BlockCache::Block>& blocks) {
    for (std::size_t i = 0; i < blocks.size(); ++i)
        if (blocks[i]) cache_->put(number_, first + i, blocks[i]);
}

// Ids are random numbers, so whoever asks for a few gets a block for each; who asks for many will want the others, too. Where
// these would only drive each other out, each miss stays one block.
BlockCache::Block Fragment::block(std::size_t number) {
    if (auto block = cache_->find(number_, number)) return block;
    const std::size_t wanted = cache_->has_room_for_all() ? std::bit_ceil(misses_++ / misses_each_block + 1) : 1;
    const std::size_t group = std::min(blocks_at_once_max, wanted);
    const std::size_t first = number / group * group;
    const auto fetched = fetch(first, std::min(group, blocks_.size() - first));
    keep(first, fetched);
    if (const auto& block = fetched[number - first]) return block;
    throw Error{Code::corrupt, "block {} of {} is not the one that was signed", number,
                names::fragment(known_.body.id)};
}

void Fragment::each_block_of(const ChunkPrefix& id, const std::function<void(std::size_t number)>& each) const {
    if (!filter_has(filter_, id.view())) return;
    const std::uint64_t key = key_of(id.view());
    auto at = std::ranges::upper_bound(blocks_, key, {}, &Block::first);
    // Ids with equal first 8 bytes may begin in an earlier block.
    while (at != blocks_.begin()) {
        --at;
        each(static_cast<std::size_t>(at - blocks_.begin()));
        if (at->first < key) return;
    }
}

Location Fragment::location_in(ByteReader& record) const {
    const std::uint32_t pack = record.u32();
    if (pack >= packs_.size()) record.fail("it names a pack that its fragment does not have");
    const std::uint32_t offset = record.u32();
    return {packs_[pack].ref, offset, record.u32()};
}

void Fragment::search(ByteView records, const ChunkPrefix& id,
                      const std::function<void(const Location&)>& found) const {
    const std::size_t count = records.size() / record_bytes;
    std::size_t low = 0, high = count;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (std::memcmp(records.data() + middle * record_bytes, id.bytes.data(), 16) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && std::memcmp(records.data() + low * record_bytes, id.bytes.data(), 16) == 0; ++low) {
        ByteReader reader(records.subspan(low * record_bytes + 16, 12), "an index block");
        found(location_in(reader));
    }
}

void Fragment::find(const ChunkPrefix& id, std::vector<Location>& found) {
    each_block_of(id, [&](std::size_t number) {
        search(*block(number), id, [&](const Location& place) { found.push_back(place); });
    });
}

void Fragment::find_all(std::span<const Asked> asked,
                        const std::function<void(std::size_t number, const Location&)>& found) {
    struct Look {
        std::size_t block;
        const Asked* asked;
    };
    std::vector<Look> looks;
    for (const Asked& each : asked)
        each_block_of(each.id, [&](std::size_t number) { looks.push_back({number, &each}); });
    std::ranges::stable_sort(looks, {}, &Look::block);
    std::vector<std::span<const Look>> runs;  // of blocks that one request brings
    for (std::size_t begin = 0, end = 0; begin < looks.size(); begin = end) {
        while (end < looks.size() && looks[end].block < looks[begin].block + blocks_at_once_max &&
               (end == begin || looks[end].block <= looks[end - 1].block + 2))
            ++end;
        runs.emplace_back(looks.begin() + static_cast<std::ptrdiff_t>(begin), end - begin);
    }
    std::mutex mutex;
    for_each_number(store_, runs.size(), [&](std::size_t i) {
        const std::size_t first = runs[i].front().block;
        std::vector<BlockCache::Block> blocks(runs[i].back().block - first + 1);
        bool all_here = true;
        for (const Look& look : runs[i]) {
            BlockCache::Block& block = blocks[look.block - first];
            if (!block) block = cache_->find(number_, look.block);
            all_here = all_here && block;
        }
        if (!all_here) {
            blocks = fetch(first, blocks.size());
            keep(first, blocks);
        }
        const std::lock_guard lock(mutex);
        for (const Look& look : runs[i])
            if (const auto& block = blocks[look.block - first])
                search(*block, look.asked->id, [&](const Location& place) { found(look.asked->number, place); });
    });
}

void Fragment::scan(const std::function<void(const ChunkPrefix&, const Location&)>& each) {
    for (std::size_t first = 0; first < blocks_.size(); first += blocks_at_once_max) {
        const auto fetched = fetch(first, std::min(blocks_at_once_max, blocks_.size() - first));
        for (std::size_t i = 0; i < fetched.size(); ++i) {
            const BlockCache::Block records = fetched[i] ? fetched[i] : block(first + i);
            ByteReader reader(*records, "an index block");
            while (!reader.done()) {
                const auto id = ChunkPrefix::from(reader.raw(16));
                each(id, location_in(reader));
            }
        }
    }
}

std::size_t Fragment::resident_bytes() const {
    return filter_.size() + blocks_.size() * sizeof(Block) + packs_.size() * sizeof(IndexedPack);
}

Index::Index(Store& store, const Keyring& keys) : store_(store), keys_(keys) {}

void Index::load(const std::vector<KnownFragment>& known, const EncodedFragment* own) {
    const std::unique_lock lock(mutex_);
    const auto have = [&](const KnownFragment& fragment) {
        return std::ranges::find_if(fragments_,
                                    [&](const auto& old) { return old && old->known().body.id == fragment.body.id; });
    };
    std::vector<std::unique_ptr<Fragment>> loaded(known.size());
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < known.size(); ++i)
        if (have(known[i]) == fragments_.end()) missing.push_back(i);
    std::uint64_t bytes = 0;
    for (const KnownFragment& each : known) bytes += each.body.bytes;
    std::vector<std::string> failures(known.size());
    for_each_number(store_, missing.size(), [&](std::size_t i) {
        try {
            const KnownFragment& each = known[missing[i]];
            const Bytes* const here = own != nullptr && own->body.id == each.body.id ? &own->bytes : nullptr;
            loaded[missing[i]] =
                std::make_unique<Fragment>(store_, keys_, each, blocks_, bytes <= whole_index_max, here);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            failures[missing[i]] = error.message();
        }
    });
    // Nothing fails from here on, so a store that does not answer leaves the index as it was.
    unloaded_.clear();
    for (std::size_t i = 0; i < known.size(); ++i) {
        if (!failures[i].empty())
            unloaded_.push_back({known[i], failures[i]});
        else if (!loaded[i])
            loaded[i] = std::move(*have(known[i]));
    }
    std::erase(loaded, nullptr);
    fragments_ = std::move(loaded);
}

void Index::exclude(std::set<PackId> packs) {
    const std::unique_lock lock(mutex_);
    excluded_ = std::move(packs);
}

void Index::distrust(std::set<PackId> packs) {
    const std::unique_lock lock(mutex_);
    distrusted_ = std::move(packs);
}

void Index::believe(std::set<FragmentId> attested) {
    const std::unique_lock lock(mutex_);
    believed_ = std::move(attested);
}

std::vector<Location> Index::find(const ChunkId& id, bool also_excluded) {
    std::vector<Location> all = find_in(id, [](const Fragment&) { return true; });
    const std::shared_lock lock(mutex_);
    if (!also_excluded) std::erase_if(all, [&](const Location& at) { return excluded_.contains(at.pack.id); });
    return all;
}

std::vector<std::vector<Location>> Index::find_all(std::span<const ChunkId> ids) {
    std::vector<Fragment::Asked> asked;
    asked.reserve(ids.size());
    for (std::size_t number = 0; number < ids.size(); ++number) asked.push_back({prefix_of(ids[number]), number});
    std::ranges::sort(asked, {}, &Fragment::Asked::id);
    const std::shared_lock lock(mutex_);
    std::vector<std::vector<Location>> out(ids.size());
    for (auto fragment = fragments_.rbegin(); fragment != fragments_.rend(); ++fragment) {
        try {
            (*fragment)->find_all(asked,
                                  [&](std::size_t number, const Location& place) { out[number].push_back(place); });
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
        }
    }
    for (std::vector<Location>& places : out)
        std::ranges::stable_partition(places, [&](const Location& at) { return !excluded_.contains(at.pack.id); });
    return out;
}

std::vector<Location> Index::find_in(const ChunkId& id, const std::function<bool(const Fragment&)>& is_asked) {
    const std::shared_lock lock(mutex_);
    std::vector<Location> all;
    std::optional<Error> damage;
    for (auto fragment = fragments_.rbegin(); fragment != fragments_.rend(); ++fragment) {
        if (!is_asked(**fragment)) continue;
        try {
            (*fragment)->find(prefix_of(id), all);
        } catch (const Error& error) {  // another may name it too
            if (error.code() != Code::corrupt) throw;
            damage = error;
        }
    }
    if (all.empty() && damage) throw *damage;
    std::ranges::stable_partition(all, [&](const Location& at) { return !excluded_.contains(at.pack.id); });
    return all;
}

bool Index::knows(const ChunkId& id) {
    const std::shared_lock lock(mutex_);
    std::vector<Location> found;
    for (auto fragment = fragments_.rbegin(); fragment != fragments_.rend(); ++fragment) {
        const KnownFragment& known = (*fragment)->known();
        if (!keys_.trusts_chunks_of(known.author) && !believed_.contains(known.body.id)) continue;
        found.clear();
        try {
            (*fragment)->find(prefix_of(id), found);
        } catch (const Error& error) {  // what it names cannot be relied on
            if (error.code() != Code::corrupt) throw;
            continue;
        }
        const auto may_rely = [&](const Location& at) {
            return !excluded_.contains(at.pack.id) && !distrusted_.contains(at.pack.id);
        };
        if (std::ranges::any_of(found, may_rely)) return true;
    }
    return false;
}

std::uint64_t Index::chunks() const {
    std::uint64_t sum = 0;
    for (const auto& fragment : fragments_) sum += fragment->known().body.chunks;
    return sum;
}

std::size_t Index::resident_bytes() const {
    std::size_t sum = 0;
    for (const auto& fragment : fragments_) sum += fragment->resident_bytes();
    return sum;
}

}  // namespace holdfast::repo
