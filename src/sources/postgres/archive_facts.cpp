#include "sources/postgres/archive_facts.h"

#include <algorithm>

#include "base/error.h"
#include "sources/postgres/names.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t toc_bytes_max = 512 * 1024 * 1024;
constexpr std::size_t piece_bytes = 16 * 1024;  // of a large object, each with its number
constexpr std::size_t number_bytes = 5;         // a sign, then the number from its lowest byte on
constexpr std::uint8_t block_of_rows = 1, block_of_objects = 3;

}  // namespace

void ArchiveFacts::put(ByteView bytes) {
    if (toc_) return put_data(bytes);
    append(head_, bytes);
    if (head_.size() < look_again_) return;
    look_again_ = 2 * head_.size();
    if (toc_ = read_toc(head_); !toc_) {
        if (head_.size() > toc_bytes_max)
            throw Error{Code::corrupt, "the archive of {} has no table of contents", item_};
        return;
    }
    const Bytes head = std::exchange(head_, {});
    put_data(ByteView(head).subspan(toc_->end));
}

std::vector<Fact> ArchiveFacts::of_toc() {
    if (!toc_) {
        look_again_ = 0;
        put({});
    }
    if (!toc_) throw Error{Code::corrupt, "the archive of {} is not whole", item_};
    const TocHashes hashes = hashes_of(*toc_);
    std::vector<Fact> out{{item_, "schema", hashes.schema}, {item_, "privileges", hashes.privileges}};
    if (toc_->minor < 16) {
        const auto large = std::ranges::count(toc_->entries, "BLOB", &TocEntry::kind);
        out.push_back({item_, "large objects", fmt::format("{}", large)});
    }
    for (const SequenceState& sequence : sequences_of(*toc_)) {
        const std::string path = item_ + "/" + encode_part(sequence.schema) + "/" + encode_part(sequence.name);
        out.push_back({path, "last value", sequence.last_value});
        out.push_back({path, "is called", sequence.is_called});
    }
    return out;
}

std::vector<Fact> ArchiveFacts::of_data() {
    if (at_ != At::block) throw Error{Code::corrupt, "the data of the archive of {} is not whole", item_};
    return {{item_, std::string(object_contents), objects_.hex()}, {item_, std::string(extension_rows), rows_.hex()}};
}

void ArchiveFacts::put_data(ByteView bytes) {
    while (!bytes.empty()) {
        if (at_ == At::content) {
            const ByteView content = bytes.first(std::min(left_, bytes.size()));
            take_content(content);
            left_ -= content.size();
            bytes = bytes.subspan(content.size());
            if (left_ == 0) at_ = At::length;
            continue;
        }
        number_.push_back(bytes.front());
        bytes = bytes.subspan(1);
        if (number_.size() == (at_ == At::block ? 1 : number_bytes)) take_number();
    }
}

void ArchiveFacts::take_number() {
    std::uint32_t value = 0;
    for (std::size_t i = number_.size(); i-- > (at_ == At::block ? 0 : 1);) value = value << 8 | number_[i];
    number_.clear();
    switch (at_) {
        case At::block:
            if (value != block_of_rows && value != block_of_objects)
                throw Error{Code::corrupt, "the archive of {} has data of an unknown kind: {}", item_, value};
            is_of_objects_ = value == block_of_objects;
            at_ = At::entry;
            break;
        case At::entry: {
            const auto entry = std::ranges::find(toc_->entries, static_cast<int>(value), &TocEntry::id);
            if (!is_of_objects_ && entry != toc_->entries.end()) name_ = entry->schema + "." + entry->tag;
            at_ = is_of_objects_ ? At::object : At::length;
            break;
        }
        case At::object:
            name_ = std::to_string(value);
            at_ = value == 0 ? At::block : At::length;
            break;
        case At::length:
            left_ = value;
            if (value == 0) end_content();
            at_ = value != 0 ? At::content : is_of_objects_ ? At::object : At::block;
            break;
        case At::content:
            break;
    }
}

// Rows come in any order, an object's pieces each have their place.
void ArchiveFacts::take_content(ByteView bytes) {
    while (!bytes.empty()) {
        const auto line_end = std::ranges::find(bytes, '\n');
        const std::size_t line = static_cast<std::size_t>(line_end - bytes.begin()) + (line_end == bytes.end() ? 0 : 1);
        const std::size_t size = is_of_objects_ ? std::min(piece_bytes - piece_.size(), bytes.size()) : line;
        append(piece_, bytes.first(size));
        bytes = bytes.subspan(size);
        if (is_of_objects_ ? piece_.size() == piece_bytes : piece_.back() == '\n') add_piece();
    }
}

void ArchiveFacts::end_content() {
    if (!piece_.empty() || (is_of_objects_ && piece_number_ == 0)) add_piece();
    piece_number_ = 0;
}

void ArchiveFacts::add_piece() {
    Bytes whole;
    ByteWriter writer(whole);
    writer.string(name_);
    if (is_of_objects_) writer.varint(piece_number_);
    append(whole, piece_);
    (is_of_objects_ ? objects_ : rows_).add(whole);
    ++piece_number_;
    piece_.clear();
}

}  // namespace holdfast::postgres
