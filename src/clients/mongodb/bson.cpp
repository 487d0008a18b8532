#include "clients/mongodb/bson.h"

#include <bson/bson.h>

#include <array>
#include <cmath>

#include "base/error.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t length_bytes = 4;
constexpr std::size_t depth_max = 200;

[[noreturn]] void broken(std::string_view why) { throw Error{Code::corrupt, "this is no BSON: {}", why}; }

template <class Number>
Number number_at(ByteView bytes) {
    Number out;
    std::memcpy(&out, bytes.data(), sizeof out);
    return out;
}

void need(ByteView bytes, std::size_t count) {
    if (bytes.size() < count) broken("it ends within a value");
}

std::size_t c_string(ByteView bytes) {
    const void* const end = bytes.empty() ? nullptr : std::memchr(bytes.data(), 0, bytes.size());
    if (end == nullptr) broken("a name without an end");
    return static_cast<std::size_t>(static_cast<const std::uint8_t*>(end) - bytes.data()) + 1;
}

std::size_t with_length(ByteView rest, std::size_t least, std::size_t beside) {
    need(rest, length_bytes);
    const auto length = number_at<std::int32_t>(rest);
    if (length < static_cast<std::int32_t>(least)) broken("a length that cannot be");
    const std::size_t bytes = static_cast<std::size_t>(length) + beside;
    need(rest, bytes);
    return bytes;
}

std::size_t value_bytes(BsonType type, ByteView rest) {
    constexpr std::size_t object_id_bytes = 12;
    switch (type) {
        case BsonType::f64:
        case BsonType::date:
        case BsonType::timestamp:
        case BsonType::i64:
            return 8;
        case BsonType::i32:
            return 4;
        case BsonType::boolean:
            return 1;
        case BsonType::decimal:
            return 16;
        case BsonType::object_id:
            return object_id_bytes;
        case BsonType::undefined:
        case BsonType::null:
        case BsonType::min_key:
        case BsonType::max_key:
            return 0;
        case BsonType::text:
        case BsonType::code:
        case BsonType::symbol: {
            const std::size_t bytes = with_length(rest, 1, length_bytes);
            if (rest[bytes - 1] != 0) broken("a text without an end");
            return bytes;
        }
        case BsonType::pointer:
            return with_length(rest, 1, length_bytes) + object_id_bytes;
        case BsonType::document:
        case BsonType::array: {
            const std::size_t bytes = with_length(rest, length_bytes + 1, 0);
            if (rest[bytes - 1] != 0) broken("a document without an end");
            return bytes;
        }
        case BsonType::scoped_code:
            return with_length(rest, 2 * length_bytes + 1, 0);
        case BsonType::binary:
            return with_length(rest, 0, length_bytes + 1);
        case BsonType::regex: {
            const std::size_t pattern = c_string(rest);
            return pattern + c_string(rest.subspan(pattern));
        }
    }
    broken(fmt::format("type {} does not exist", static_cast<int>(type)));
}

void check_level(ByteView document, std::size_t depth) {
    if (depth > depth_max) broken("it is nested too deep");
    for (const Element& each : Elements(document))
        if (each.is_document() || each.is_array()) check_level(each.value, depth + 1);
}

}  // namespace

std::optional<std::int64_t> Element::number() const {
    switch (type) {
        case BsonType::i32:
            return number_at<std::int32_t>(value);
        case BsonType::i64:
            return number_at<std::int64_t>(value);
        case BsonType::f64: {
            constexpr double exact = 9007199254740992.0;
            const auto number = number_at<double>(value);
            if (!(std::abs(number) <= exact)) return std::nullopt;
            return static_cast<std::int64_t>(number);
        }
        default:
            return std::nullopt;
    }
}

std::optional<std::string_view> Element::text() const {
    if (type != BsonType::text) return std::nullopt;
    return as_text(value.subspan(length_bytes, value.size() - length_bytes - 1));
}

bool Element::is_true() const {
    if (type == BsonType::boolean) return value[0] != 0;
    return number().value_or(0) != 0;
}

std::optional<std::uint64_t> Element::timestamp() const {
    if (type != BsonType::timestamp) return std::nullopt;
    return number_at<std::uint64_t>(value);
}

std::optional<std::int64_t> Element::milliseconds() const {
    if (type != BsonType::date) return std::nullopt;
    return number_at<std::int64_t>(value);
}

std::optional<ByteView> Element::binary() const {
    if (type != BsonType::binary) return std::nullopt;
    return value.subspan(length_bytes + 1);
}

bool Element::operator==(const Element& other) const { return type == other.type && equal(value, other.value); }

Elements::Elements(ByteView document) {
    need(document, length_bytes + 1);
    if (static_cast<std::size_t>(number_at<std::uint32_t>(document)) != document.size())
        broken("its length is another");
    if (document.back() != 0) broken("a document without an end");
    inside_ = document.subspan(length_bytes);
}

void Elements::Iterator::read() {
    need(rest_, 1);
    const std::uint8_t type = rest_[0];
    if (type == 0) {
        if (rest_.size() != 1) broken("it goes on after its end");
        is_end_ = true;
        return;
    }
    is_end_ = false;
    element_.type = static_cast<BsonType>(type);
    const std::size_t name = c_string(rest_.subspan(1));
    element_.name = as_text(rest_.subspan(1, name - 1));
    const ByteView after = rest_.subspan(1 + name);
    const std::size_t bytes = value_bytes(element_.type, after);
    need(after, bytes + 1);
    element_.value = after.first(bytes);
    rest_ = after.subspan(bytes);
}

std::optional<std::size_t> document_bytes(ByteView begin) {
    if (begin.size() < length_bytes) return std::nullopt;
    const auto length = number_at<std::uint32_t>(begin);
    if (length < length_bytes + 1 || length > document_bytes_max) broken("a length that cannot be");
    return length;
}

std::optional<ByteView> Documents::next() {
    const auto bytes = document_bytes(rest_);
    if (!bytes || rest_.size() < *bytes) return std::nullopt;
    const ByteView out = rest_.first(*bytes);
    rest_ = rest_.subspan(*bytes);
    return out;
}

std::optional<Element> find(ByteView document, std::string_view name) {
    for (const Element& each : Elements(document))
        if (each.name == name) return each;
    return std::nullopt;
}

std::string text_of(ByteView document, std::string_view name) {
    const auto found = find(document, name);
    return found && found->text() ? std::string(*found->text()) : std::string();
}

std::int64_t number_of(ByteView document, std::string_view name, std::int64_t otherwise) {
    const auto found = find(document, name);
    return found ? found->number().value_or(otherwise) : otherwise;
}

ByteView document_of(ByteView document, std::string_view name) {
    const auto found = find(document, name);
    return found && (found->is_document() || found->is_array()) ? found->value : empty_document();
}

void check_document(ByteView document) { check_level(document, 0); }

ByteView empty_document() {
    static constexpr std::array<std::uint8_t, length_bytes + 1> empty{length_bytes + 1, 0, 0, 0, 0};
    return empty;
}

Builder::Builder() { out_.resize(length_bytes); }

void Builder::head(std::string_view name, BsonType type) {
    out_.push_back(static_cast<std::uint8_t>(type));
    append(out_, as_bytes(name));
    out_.push_back(0);
}

Builder& Builder::value(std::string_view name, BsonType type, ByteView raw) {
    head(name, type);
    append(out_, raw);
    return *this;
}

Builder& Builder::text(std::string_view name, std::string_view value) {
    head(name, BsonType::text);
    ByteWriter writer(out_);
    writer.u32(static_cast<std::uint32_t>(value.size() + 1));
    writer.raw(as_bytes(value));
    writer.u8(0);
    return *this;
}

Builder& Builder::i32(std::string_view name, std::int32_t value) {
    head(name, BsonType::i32);
    ByteWriter(out_).u32(static_cast<std::uint32_t>(value));
    return *this;
}

Builder& Builder::i64(std::string_view name, std::int64_t value) {
    head(name, BsonType::i64);
    ByteWriter(out_).u64(static_cast<std::uint64_t>(value));
    return *this;
}

Builder& Builder::boolean(std::string_view name, bool value) {
    head(name, BsonType::boolean);
    out_.push_back(value ? 1 : 0);
    return *this;
}

Builder& Builder::timestamp(std::string_view name, std::uint64_t value) {
    head(name, BsonType::timestamp);
    ByteWriter(out_).u64(value);
    return *this;
}

Builder& Builder::null(std::string_view name) {
    head(name, BsonType::null);
    return *this;
}

Builder& Builder::document(std::string_view name, ByteView value) {
    return this->value(name, BsonType::document, value);
}

Builder& Builder::array(std::string_view name, const std::vector<Bytes>& documents) {
    const std::size_t begun = begin(name, BsonType::array);
    for (std::size_t i = 0; i < documents.size(); ++i) document(std::to_string(i), documents[i]);
    end(begun);
    return *this;
}

Builder& Builder::array(std::string_view name, const std::vector<std::string>& texts) {
    const std::size_t begun = begin(name, BsonType::array);
    for (std::size_t i = 0; i < texts.size(); ++i) text(std::to_string(i), texts[i]);
    end(begun);
    return *this;
}

Builder& Builder::add(std::string_view name, const Element& element) {
    return value(name, element.type, element.value);
}

std::size_t Builder::begin(std::string_view name, BsonType type) {
    head(name, type);
    const std::size_t begun = out_.size();
    out_.resize(begun + length_bytes);
    return begun;
}

void Builder::end(std::size_t begun) {
    out_.push_back(0);
    const auto length = static_cast<std::uint32_t>(out_.size() - begun);
    std::memcpy(out_.data() + begun, &length, sizeof length);
}

Bytes Builder::done() {
    end(0);
    return std::move(out_);
}

std::string to_json(ByteView document) {
    bson_t view;
    if (!bson_init_static(&view, document.data(), document.size())) return "{}";
    std::size_t length = 0;
    char* const text = bson_as_canonical_extended_json(&view, &length);
    if (text == nullptr) return "{\"$hex\":\"" + to_hex(document) + "\"}";  // names or texts that are not UTF-8
    std::string out(text, length);
    bson_free(text);
    return out;
}

Bytes from_json(std::string_view text) {
    bson_error_t problem;
    bson_t* const parsed = bson_new_from_json(reinterpret_cast<const std::uint8_t*>(text.data()),
                                              static_cast<ssize_t>(text.size()), &problem);
    if (parsed == nullptr) throw Error{Code::usage, "this is no JSON of MongoDB: {}", &problem.message[0]};
    Bytes out = to_bytes({bson_get_data(parsed), parsed->len});
    bson_destroy(parsed);
    return out;
}

}  // namespace holdfast::mongodb
