// clients/mongodb/bson.h: BSON as bytes: looked at in place, built by appending; nothing is decoded that is not asked for.
//
// Shape    a document is its bytes, length first and NUL last; for (const Element& each : Elements(document)) …
// Errors   corrupt for what is no BSON
// Threads  values
// Limits   Elements checks one level; check_document() all of them, depth_max deep
// Source   bsonspec.org, version 1.1
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace holdfast::mongodb {

enum class BsonType : std::uint8_t {
    f64 = 1,
    text = 2,
    document = 3,
    array = 4,
    binary = 5,
    undefined = 6,
    object_id = 7,
    boolean = 8,
    date = 9,
    null = 10,
    regex = 11,
    pointer = 12,
    code = 13,
    symbol = 14,
    scoped_code = 15,
    i32 = 16,
    timestamp = 17,
    i64 = 18,
    decimal = 19,
    min_key = 0xff,
    max_key = 0x7f,
};

struct Element {
    BsonType type{};
    std::string_view name;
    ByteView value;  // without type and name

    bool is_document() const { return type == BsonType::document; }
    bool is_array() const { return type == BsonType::array; }
    // What it is, when it is one; a whole number of any numeric type.
    std::optional<std::int64_t> number() const;
    std::optional<std::string_view> text() const;
    bool is_true() const;                              // true, or a number that is not 0
    std::optional<std::uint64_t> timestamp() const;    // seconds << 32 | increment
    std::optional<std::int64_t> milliseconds() const;  // of a date
    std::optional<ByteView> binary() const;            // without its subtype
    bool operator==(const Element& other) const;       // type and value
};

class Elements {
public:
    explicit Elements(ByteView document);

    class Iterator {
    public:
        Iterator() = default;
        explicit Iterator(ByteView rest) : rest_(rest) { read(); }
        const Element& operator*() const { return element_; }
        const Element* operator->() const { return &element_; }
        Iterator& operator++() {
            read();
            return *this;
        }
        bool operator==(const Iterator& other) const { return is_end_ == other.is_end_; }

    private:
        void read();
        ByteView rest_;
        Element element_;
        bool is_end_ = true;
    };
    Iterator begin() const { return Iterator(inside_); }
    Iterator end() const { return {}; }

private:
    ByteView inside_;  // from the first element to the last NUL, it included
};

// Documents that follow each other without anything between, as in a collection's item.
class Documents {
public:
    explicit Documents(ByteView bytes) : rest_(bytes) {}
    std::optional<ByteView> next();          // nothing when no whole one is left
    ByteView rest() const { return rest_; }  // what is left
private:
    ByteView rest_;
};
// The bytes of the document that begins here, once its length is there; corrupt when that cannot be one.
std::optional<std::size_t> document_bytes(ByteView begin);

constexpr std::size_t document_bytes_max = 48 * 1024 * 1024;  // more than any server stores, as much as a message holds

std::optional<Element> find(ByteView document, std::string_view name);
std::string text_of(ByteView document, std::string_view name);  // empty when it is not there or no text
std::int64_t number_of(ByteView document, std::string_view name, std::int64_t otherwise = 0);
ByteView document_of(ByteView document, std::string_view name);  // a document or array; an empty one when not there
void check_document(ByteView document);

ByteView empty_document();

class Builder {
public:
    Builder();
    Builder& text(std::string_view name, std::string_view value);
    Builder& i32(std::string_view name, std::int32_t value);
    Builder& i64(std::string_view name, std::int64_t value);
    Builder& boolean(std::string_view name, bool value);
    Builder& timestamp(std::string_view name, std::uint64_t value);
    Builder& null(std::string_view name);
    Builder& document(std::string_view name, ByteView value);
    Builder& array(std::string_view name, const std::vector<Bytes>& documents);
    Builder& array(std::string_view name, const std::vector<std::string>& texts);
    Builder& add(const Element& element) { return add(element.name, element); }
    Builder& add(std::string_view name, const Element& element);  // its value under this name
    Builder& value(std::string_view name, BsonType type, ByteView raw);
    // A document or array inside, filled as it comes: begin, add elements, end.
    std::size_t begin(std::string_view name, BsonType type);
    void end(std::size_t begun);
    std::size_t bytes() const { return out_.size() + 1; }
    Bytes done();

private:
    void head(std::string_view name, BsonType type);
    Bytes out_;
};

std::string to_json(ByteView document);  // canonical extended JSON, as far as it can say it
Bytes from_json(std::string_view text);  // throws usage

}  // namespace holdfast::mongodb
