#include "repo/tree.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t leaf_mark = 1, inner_mark = 2, list_mark = 3;
constexpr std::size_t leaf_bytes_min = 64 * 1024, leaf_bytes_max = 256 * 1024;
constexpr std::uint64_t leaf_cut = ~std::uint64_t{0} / 512;
constexpr std::size_t inner_min = 64, inner_max = 1024;
constexpr std::uint64_t inner_cut = ~std::uint64_t{0} / 128;
constexpr std::size_t extents_inline_max = 1024;
constexpr int depth_max = 16;
constexpr std::size_t children_of_a_walk = 8;  // fetched at first when all of a tree is read

// Collects ids once each, in the order of first use.
class Children {
public:
    std::uint64_t number_of(ChildKind kind, const ChunkId& id) {
        const auto [at, fresh] = numbers_.try_emplace(id, children_.size());
        if (fresh) children_.push_back({kind, id});
        return at->second;
    }
    Bytes encode(std::uint8_t mark) const {
        Bytes out;
        ByteWriter writer(out);
        writer.u8(mark);
        writer.varint(children_.size());
        for (const Child& child : children_) {
            writer.u8(static_cast<std::uint8_t>(child.kind));
            writer.raw(child.id.view());
        }
        return out;
    }

private:
    std::unordered_map<ChunkId, std::uint64_t, IdHash> numbers_;
    std::vector<Child> children_;
};

void encode_extents(ByteWriter& writer, Children& children, std::span<const Extent> extents) {
    writer.varint(extents.size());
    for (const Extent& extent : extents) {
        writer.varint(extent.is_hole() ? 0 : children.number_of(ChildKind::chunk, extent.chunk) + 1);
        if (!extent.is_hole()) writer.varint(extent.offset);
        writer.varint(extent.length);
    }
}

std::vector<Extent> parse_extents(ByteReader& reader, const std::vector<Child>& children) {
    const std::size_t count = reader.count(2);
    std::vector<Extent> out;
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        Extent extent;
        const std::uint64_t number = reader.varint();
        if (number > children.size()) reader.fail("an extent names a chunk that its node does not have");
        if (number > 0) {
            if (children[number - 1].kind != ChildKind::chunk) reader.fail("an extent names what is not a chunk");
            extent.chunk = children[number - 1].id;
            const std::uint64_t offset = reader.varint();
            if (offset > chunk_bytes_max) reader.fail("an extent begins behind every chunk");
            extent.offset = static_cast<std::uint32_t>(offset);
        }
        extent.length = reader.varint();
        if (!extent.is_hole() && extent.length > chunk_bytes_max) reader.fail("an extent is longer than every chunk");
        out.push_back(extent);
    }
    return out;
}

// A leaf's strings that recur: owners' names.
class Names {
public:
    std::uint64_t number_of(const std::string& name) {
        const auto [at, fresh] = numbers_.try_emplace(name, names_.size());
        if (fresh) names_.push_back(name);
        return at->second;
    }
    void encode(ByteWriter& writer) const {
        writer.varint(names_.size());
        for (const std::string& name : names_) writer.string(name);
    }

private:
    std::unordered_map<std::string, std::uint64_t> numbers_;
    std::vector<std::string> names_;
};

std::vector<LeafRef> parse_inner(const std::vector<Child>& children, ByteReader& reader) {
    std::vector<LeafRef> out;
    if (children.empty()) reader.fail("an inner node reaches nothing");
    for (const Child& child : children) {
        if (child.kind != ChildKind::node) reader.fail("an inner node reaches what is not a node");
        LeafRef ref{child.id, reader.string(), 0};
        ref.items = reader.varint();
        out.push_back(std::move(ref));
    }
    reader.expect_done();
    return out;
}

}  // namespace

std::vector<Child> parse_children(ByteView reachable) {
    ByteReader reader(reachable, "a tree node");
    reader.u8();
    const std::size_t count = reader.count(33);
    std::vector<Child> out;
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t kind = reader.u8();
        if (kind < 1 || kind > 3) reader.fail("it reaches something of a kind that this version does not know");
        out.push_back({static_cast<ChildKind>(kind), ChunkId::from(reader.raw(ChunkId::size))});
    }
    reader.expect_done();
    return out;
}

struct TreeWriter::Leaf {
    Children children;
    Names names;
    Bytes entries;
    std::string folder;
    bool has_folder = false;
    std::string first_key, last_key;
    std::uint64_t items = 0;
};

TreeWriter::TreeWriter(const Keyring& keys, PackWriter& packs)
    : keys_(keys), packs_(packs), leaf_(std::make_unique<Leaf>()) {}
TreeWriter::~TreeWriter() = default;

bool TreeWriter::between_leaves() const { return leaf_->items == 0; }

std::optional<TreeWriter::Ended> TreeWriter::add(const TreeEntry& entry) {
    const Item& item = entry.item;
    const std::string key = tree_key(item.path);
    Leaf& leaf = *leaf_;
    if (leaf.items > 0 && key <= leaf.last_key)
        throw Error{Code::internal, "{} comes after its place in the tree", item.path};
    if (leaf.items == 0) leaf.first_key = key;
    leaf.last_key = key;
    ByteWriter writer(leaf.entries);
    const auto [folder, name] = split_path(item.path);
    const bool same_folder = leaf.has_folder && leaf.folder == folder;
    writer.u8(static_cast<std::uint8_t>(static_cast<unsigned>(item.kind) | (same_folder ? 0U : 0x80U)));
    if (!same_folder) {
        writer.string(folder);
        leaf.folder = folder;
        leaf.has_folder = true;
    }
    writer.string(name);
    writer.varint(item.mode);
    writer.varint(item.uid);
    writer.varint(item.gid);
    writer.varint(leaf.names.number_of(item.user));
    writer.varint(leaf.names.number_of(item.group));
    writer.zigzag(item.mtime_s);
    writer.varint(item.mtime_ns);
    writer.varint(item.size);
    writer.varint(item.device);
    writer.varint(item.hard_link);
    writer.string(item.link);
    writer.varint(item.attributes.size());
    for (const Attribute& attribute : item.attributes) {
        writer.string(attribute.name);
        writer.string(attribute.value);
    }
    if (entry.content.size() <= extents_inline_max) {
        writer.u8(0);
        encode_extents(writer, leaf.children, entry.content);
    } else {
        writer.u8(1);
        const std::size_t lists = (entry.content.size() + extents_inline_max - 1) / extents_inline_max;
        writer.varint(lists);
        for (std::size_t i = 0; i < lists; ++i) {
            const std::size_t begin = i * extents_inline_max;
            const std::size_t count = std::min(extents_inline_max, entry.content.size() - begin);
            Children children;
            Bytes content;
            ByteWriter list(content);
            list.u8(list_mark);
            encode_extents(list, children, std::span(entry.content).subspan(begin, count));
            const ChunkId id = packs_.add_node(children.encode(list_mark), content).id;
            writer.varint(leaf.children.number_of(ChildKind::list, id));
        }
    }
    ++leaf.items;
    ++items_;
    const bool cut =
        leaf.entries.size() >= leaf_bytes_max ||
        (leaf.entries.size() >= leaf_bytes_min && crypto::tag64(keys_.tree_key(), as_bytes(key)) < leaf_cut);
    if (!cut) return std::nullopt;
    return write_leaf(true);
}

TreeWriter::Ended TreeWriter::write_leaf(bool by_cut) {
    Leaf& leaf = *leaf_;
    Bytes content;
    ByteWriter writer(content);
    writer.u8(leaf_mark);
    leaf.names.encode(writer);
    writer.varint(leaf.items);
    writer.raw(leaf.entries);
    const LeafRef ref{packs_.add_node(leaf.children.encode(leaf_mark), content).id, leaf.first_key, leaf.items};
    leaf_ = std::make_unique<Leaf>();
    add_to_level(0, ref);
    return {ref, by_cut};
}

void TreeWriter::reuse(const LeafRef& leaf) {
    HF_ASSERT(between_leaves());
    items_ += leaf.items;
    add_to_level(0, leaf);
}

std::optional<TreeWriter::Ended> TreeWriter::end_leaf() {
    if (between_leaves()) return std::nullopt;
    return write_leaf(false);
}

void TreeWriter::add_to_level(std::size_t level, LeafRef child) {
    if (levels_.size() <= level) levels_.emplace_back();
    const bool cut =
        levels_[level].size() + 1 >= inner_max ||
        (levels_[level].size() + 1 >= inner_min && crypto::tag64(keys_.tree_key(), child.id.view()) < inner_cut);
    levels_[level].push_back(std::move(child));
    if (!cut) return;
    LeafRef inner = write_inner(level);
    add_to_level(level + 1, std::move(inner));
}

LeafRef TreeWriter::write_inner(std::size_t level) {
    const std::vector<LeafRef> members = std::exchange(levels_[level], {});
    Children children;
    Bytes content;
    ByteWriter writer(content);
    writer.u8(inner_mark);
    LeafRef ref{{}, members.front().first_key, 0};
    for (const LeafRef& member : members) {
        children.number_of(ChildKind::node, member.id);
        writer.string(member.first_key);
        writer.varint(member.items);
        ref.items += member.items;
    }
    ref.id = packs_.add_node(children.encode(inner_mark), content).id;
    return ref;
}

ChunkId TreeWriter::finish() {
    end_leaf();
    if (levels_.empty()) return write_leaf(false).leaf.id;
    for (std::size_t level = 0; level < levels_.size(); ++level) {
        if (levels_[level].empty()) continue;
        const bool top = level + 1 == levels_.size();
        if (top && levels_[level].size() == 1) return levels_[level].front().id;
        LeafRef inner = write_inner(level);
        add_to_level(level + 1, std::move(inner));
    }
    HF_ASSERT(false);
    return {};
}

TreeReader::TreeReader(const Keyring& keys, ChunkReader& chunks, const ChunkId& root)
    : keys_(keys), chunks_(chunks), root_(root) {}

std::vector<TreeEntry> TreeReader::entries_of(const Node& node) {
    const std::vector<Child> children = parse_children(node.reachable);
    ByteReader reader(node.content, "a tree leaf");
    if (reader.u8() != leaf_mark) reader.fail("it is not a leaf");
    std::vector<std::string> names;
    const std::size_t name_count = reader.count(1);
    for (std::size_t i = 0; i < name_count; ++i) names.push_back(reader.string());
    const auto name = [&]() -> const std::string& {
        const std::uint64_t number = reader.varint();
        if (number >= names.size()) reader.fail("an owner has no name here");
        return names[number];
    };
    const std::size_t items = reader.count(16);
    std::vector<TreeEntry> out;
    out.reserve(items);
    std::string folder;
    for (std::size_t i = 0; i < items; ++i) {
        TreeEntry entry;
        Item& item = entry.item;
        const std::uint8_t kind = reader.u8();
        if ((kind & 0x7f) < 1 || (kind & 0x7f) > 7) reader.fail("an item is of a kind that this version does not know");
        item.kind = static_cast<ItemKind>(kind & 0x7f);
        if ((kind & 0x80) != 0) folder = reader.string();
        item.path = join_path(folder, as_text(reader.string_view()));
        item.mode = static_cast<std::uint32_t>(reader.varint());
        item.uid = static_cast<std::uint32_t>(reader.varint());
        item.gid = static_cast<std::uint32_t>(reader.varint());
        item.user = name();
        item.group = name();
        item.mtime_s = reader.zigzag();
        item.mtime_ns = static_cast<std::uint32_t>(reader.varint());
        item.size = reader.varint();
        item.device = reader.varint();
        item.hard_link = reader.varint();
        item.link = reader.string();
        const std::size_t attributes = reader.count(2);
        for (std::size_t j = 0; j < attributes; ++j) {
            Attribute attribute;
            attribute.name = reader.string();
            attribute.value = reader.string();
            item.attributes.push_back(std::move(attribute));
        }
        if (reader.u8() == 0) {
            entry.content = parse_extents(reader, children);
        } else {
            const std::size_t lists = reader.count(1);
            for (std::size_t j = 0; j < lists; ++j) {
                const std::uint64_t number = reader.varint();
                if (number >= children.size() || children[number].kind != ChildKind::list)
                    reader.fail("a list is not where it should be");
                const std::vector<Extent> more = read_list(children[number].id);
                entry.content.insert(entry.content.end(), more.begin(), more.end());
            }
        }
        out.push_back(std::move(entry));
    }
    reader.expect_done();
    return out;
}

std::vector<Extent> TreeReader::read_list(const ChunkId& id) {
    const Node node = chunks_.read_node(id);
    ByteReader reader(node.content, "a list of extents");
    if (reader.u8() != list_mark) reader.fail("it is not a list");
    std::vector<Extent> out = parse_extents(reader, parse_children(node.reachable));
    reader.expect_done();
    return out;
}

std::vector<TreeEntry> TreeReader::read_leaf(const ChunkId& id) { return entries_of(chunks_.read_node(id)); }

bool TreeReader::is_leaf(const Node& node) { return node.content.empty() || node.content[0] == leaf_mark; }

std::vector<LeafRef> TreeReader::children_of(const Node& inner) {
    ByteReader reader(inner.content, "an inner tree node");
    if (reader.u8() != inner_mark) reader.fail("it is neither leaf nor inner node");
    return parse_inner(parse_children(inner.reachable), reader);
}

bool TreeReader::walk_node(const ChunkId& id, const std::string& from_key, const std::function<bool(TreeEntry&&)>& each,
                           int depth) {
    if (depth > depth_max) throw Error{Code::corrupt, "a tree is deeper than {} levels", depth_max};
    const Node node = chunks_.read_node(id);
    if (is_leaf(node)) {
        for (TreeEntry& entry : entries_of(node)) {
            if (!from_key.empty() && tree_key(entry.item.path) < from_key) continue;
            if (!each(std::move(entry))) return false;
        }
        return true;
    }
    const std::vector<LeafRef> children = children_of(node);
    ReadAhead ahead(chunks_, from_key.empty() ? children_of_a_walk : 1);
    for (std::size_t i = 0; i < children.size(); ++i) {
        if (i + 1 < children.size() && children[i + 1].first_key <= from_key) continue;
        ahead.reach(children, i);
        if (!walk_node(children[i].id, from_key, each, depth + 1)) return false;
    }
    return true;
}

void TreeReader::walk(const std::string& from_key, const std::function<bool(TreeEntry&&)>& each) {
    walk_node(root_, from_key, each, 0);
}

std::optional<TreeEntry> TreeReader::find(std::string_view path) {
    std::optional<TreeEntry> found;
    walk(tree_key(path), [&](TreeEntry&& entry) {
        if (entry.item.path == path) found = std::move(entry);
        return false;
    });
    return found;
}

void TreeReader::leaves_below(const ChunkId& id, std::string first_key, std::vector<LeafRef>& out, int depth) {
    if (depth > depth_max) throw Error{Code::corrupt, "a tree is deeper than {} levels", depth_max};
    const Node node = chunks_.read_node(id);
    ByteReader reader(node.content, "a tree node");
    const std::uint8_t mark = reader.u8();
    if (mark == leaf_mark) {
        const std::size_t names = reader.count(1);
        for (std::size_t i = 0; i < names; ++i) reader.string_view();
        out.push_back({id, std::move(first_key), reader.varint()});
        return;
    }
    const std::vector<LeafRef> children = children_of(node);
    // All children of one inner node are of one level: looking at the first tells what all are.
    const bool leaves_here = is_leaf(chunks_.read_node(children.at(0).id));
    for (const LeafRef& child : children) {
        if (leaves_here)
            out.push_back(child);
        else
            leaves_below(child.id, child.first_key, out, depth + 1);
    }
}

std::vector<LeafRef> TreeReader::leaves() {
    std::vector<LeafRef> out;
    leaves_below(root_, "", out, 0);
    return out;
}

std::uint64_t TreeReader::items() {
    std::uint64_t sum = 0;
    for (const LeafRef& leaf : leaves()) sum += leaf.items;
    return sum;
}

void check_node_syntax(ByteView reachable, ByteView content) {
    const std::vector<Child> children = parse_children(reachable);
    ByteReader reader(content, "a tree node");
    const std::uint8_t mark = reader.u8();
    if (mark == list_mark)
        parse_extents(reader, children);
    else if (mark == inner_mark)
        parse_inner(children, reader);
    else
        reader.fail("it is neither list nor inner node");
}

}  // namespace holdfast::repo
