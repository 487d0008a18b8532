#include "sources/mongodb/diff.h"

#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t depth_max = 200;
constexpr std::size_t array_length_max = 2'000'000;  // more do not fit into 16 MB

[[noreturn]] void unknown(std::string_view what, std::string_view name) {
    throw Error{Code::corrupt, "an update in the oplog has {} `{}`, which this version does not know", what,
                printable(name)}
        .hint("A newer holdfast may know it; nothing behind this entry was applied.");
}

void check_depth(std::size_t depth) {
    if (depth > depth_max) throw Error{Code::corrupt, "an update in the oplog is nested too deep"};
}

std::optional<std::size_t> index_of(std::string_view text) {
    std::size_t out = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return out;
}

bool is_array_diff(ByteView diff) {
    const auto mark = find(diff, "a");
    return mark && mark->type == BsonType::boolean;
}

Bytes document_after(ByteView document, ByteView diff, std::size_t depth);
Bytes array_after(ByteView array, ByteView diff, std::size_t depth);

// A value with a diff of what is inside it; as it is when it is of another kind than the diff is for.
void add_inside(Builder& out, std::string_view name, const Element& value, ByteView diff, std::size_t depth) {
    const bool for_array = is_array_diff(diff);
    if (value.is_document() && !for_array)
        out.value(name, BsonType::document, document_after(value.value, diff, depth + 1));
    else if (value.is_array() && for_array)
        out.value(name, BsonType::array, array_after(value.value, diff, depth + 1));
    else
        out.add(name, value);
}

struct FieldChange {
    enum class Kind : std::uint8_t { removed, value, appended, inside, column };
    Kind kind{};
    Element element;
};

// {o: where, d: what}: from there on a compressed column has these bytes, and ends with them. So servers append to a time
// series, for which the last part of a column is written anew.
struct ColumnChange {
    std::size_t offset = 0;
    ByteView bytes;
};

ColumnChange column_change(const Element& change) {
    const auto offset = change.is_document() ? find(change.value, "o") : std::nullopt;
    const auto bytes = change.is_document() ? find(change.value, "d") : std::nullopt;
    if (!offset || offset->number().value_or(-1) < 0 || !bytes || !bytes->binary())
        unknown("a change of the column", change.name);
    return {static_cast<std::size_t>(*offset->number()), *bytes->binary()};
}

// As it is when it is something else, or shorter: it was made anew by a change further on.
void add_column(Builder& out, const Element& value, const ColumnChange& change) {
    constexpr std::uint8_t column = 7;  // as a type of binary data, which stands behind the length
    const auto bytes = value.binary();
    if (bytes && value.value[sizeof(std::uint32_t)] != column) unknown("bytes for what is no column:", value.name);
    if (!bytes || bytes->size() < change.offset) {
        out.add(value);
        return;
    }
    Bytes made;
    ByteWriter writer(made);
    writer.u32(static_cast<std::uint32_t>(change.offset + change.bytes.size()));
    writer.u8(column);
    writer.raw(bytes->first(change.offset));
    writer.raw(change.bytes);
    out.value(value.name, BsonType::binary, made);
}

Bytes document_after(ByteView document, ByteView diff, std::size_t depth) {
    check_depth(depth);
    std::map<std::string_view, FieldChange> changes;
    std::vector<Element> values;
    const auto add = [&](std::string_view name, FieldChange::Kind kind, const Element& element) {
        if (!changes.emplace(name, FieldChange{kind, element}).second)
            throw Error{Code::corrupt, "an update in the oplog changes the field {} twice", printable(name)};
    };
    for (const Element& section : Elements(diff)) {
        if (section.name == "d" && section.is_document()) {
            for (const Element& each : Elements(section.value)) add(each.name, FieldChange::Kind::removed, each);
        } else if ((section.name == "u" || section.name == "i") && section.is_document()) {
            for (const Element& each : Elements(section.value)) {
                add(each.name, section.name == "u" ? FieldChange::Kind::value : FieldChange::Kind::appended, each);
                values.push_back(each);
            }
        } else if (section.name == "b" && section.is_document()) {
            for (const Element& each : Elements(section.value)) {
                (void)column_change(each);
                add(each.name, FieldChange::Kind::column, each);
            }
        } else if (section.name.size() > 1 && section.name.front() == 's' && section.is_document()) {
            add(section.name.substr(1), FieldChange::Kind::inside, section);
        } else if (section.name == "s" && section.is_document()) {
            add("", FieldChange::Kind::inside, section);
        } else {
            unknown("the section", section.name);
        }
    }
    Builder out;
    std::set<std::string_view> placed;
    for (const Element& field : Elements(document)) {
        const auto change = changes.find(field.name);
        if (change == changes.end()) {
            out.add(field);
            continue;
        }
        switch (change->second.kind) {
            case FieldChange::Kind::removed:
            case FieldChange::Kind::appended:  // goes to the end
                break;
            case FieldChange::Kind::value:
                out.add(change->second.element);
                placed.insert(field.name);
                break;
            case FieldChange::Kind::inside:
                add_inside(out, field.name, field, change->second.element.value, depth);
                break;
            case FieldChange::Kind::column:
                add_column(out, field, column_change(change->second.element));
                break;
        }
    }
    for (const Element& each : values)
        if (!placed.contains(each.name)) out.add(each);
    return out.done();
}

struct ArrayDiff {
    std::optional<std::size_t> length;
    std::map<std::size_t, std::pair<bool, Element>> changes;  // by index: is it a diff, and of what
};

ArrayDiff read_array_diff(ByteView diff) {
    ArrayDiff out;
    for (const Element& section : Elements(diff)) {
        if (section.name == "a") continue;
        if (section.name == "l" && section.number()) {
            if (*section.number() < 0 || static_cast<std::size_t>(*section.number()) > array_length_max)
                throw Error{Code::corrupt, "an update in the oplog gives an array a length that cannot be"};
            out.length = static_cast<std::size_t>(*section.number());
            continue;
        }
        const char kind = section.name.empty() ? ' ' : section.name.front();
        const auto index = index_of(section.name.substr(section.name.empty() ? 0 : 1));
        if ((kind != 'u' && kind != 's') || !index || *index > array_length_max ||
            (kind == 's' && !section.is_document()))
            unknown("the section of an array", section.name);
        if (!out.changes.emplace(*index, std::pair(kind == 's', section)).second)
            throw Error{Code::corrupt, "an update in the oplog changes the place {} of an array twice", *index};
    }
    return out;
}

Bytes array_after(ByteView array, ByteView diff, std::size_t depth) {
    check_depth(depth);
    const ArrayDiff changes = read_array_diff(diff);
    Builder out;
    std::size_t index = 0;
    for (const Element& each : Elements(array)) {
        if (changes.length && index >= *changes.length) break;
        const std::string name = std::to_string(index);
        const auto change = changes.changes.find(index);
        if (change == changes.changes.end())
            out.add(name, each);
        else if (change->second.first)
            add_inside(out, name, each, change->second.second.value, depth);
        else
            out.add(name, change->second.second);
        ++index;
    }
    const std::size_t changed = changes.changes.empty() ? 0 : changes.changes.rbegin()->first + 1;
    const std::size_t length = std::max(changes.length.value_or(0), changed);
    for (; index < length; ++index) {
        const auto change = changes.changes.find(index);
        if (change == changes.changes.end() || change->second.first)
            out.null(std::to_string(index));
        else
            out.add(std::to_string(index), change->second.second);
    }
    return out.done();
}

// One dotted path: its value set (made where it is not there), or removed when there is none.
Bytes with_path(ByteView holder, bool is_array, std::string_view path, const Element* value, std::size_t depth) {
    check_depth(depth);
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    const bool is_last = dot == std::string_view::npos;
    const std::string_view below = is_last ? std::string_view() : path.substr(dot + 1);
    const std::size_t place = is_array ? index_of(name).value_or(array_length_max + 1) : 0;
    if (place > array_length_max) return to_bytes(holder);  // as servers do: no such place
    Builder out;
    bool is_there = false;
    std::size_t count = 0;
    for (const Element& each : Elements(holder)) {
        ++count;
        if (each.name != name) {
            out.add(each);
            continue;
        }
        is_there = true;
        if (is_last && value != nullptr)
            out.add(name, *value);
        else if (is_last && is_array)
            out.null(name);  // what follows keeps its place
        else if (!is_last && (each.is_document() || each.is_array()))
            out.value(name, each.type, with_path(each.value, each.is_array(), below, value, depth + 1));
        else if (!is_last)
            out.add(each);
    }
    if (!is_there && value != nullptr) {
        for (; count < place; ++count) out.null(std::to_string(count));
        if (is_last)
            out.add(name, *value);
        else
            out.document(name, with_path(empty_document(), false, below, value, depth + 1));
    }
    return out.done();
}

}  // namespace

UpdateForm form_of(ByteView update) {
    const auto version = find(update, "$v");
    const auto first = Elements(update).begin();
    if (version && version->number() && first != Elements(update).end()) {
        if (*version->number() == 2) return UpdateForm::diff;
        if (*version->number() == 1) return UpdateForm::modifiers;
        unknown("the version", std::to_string(*version->number()));
    }
    if (first != Elements(update).end() && (first->name == "$set" || first->name == "$unset"))
        return UpdateForm::modifiers;
    return UpdateForm::whole;
}

Bytes apply_update(ByteView document, ByteView update) {
    if (form_of(update) == UpdateForm::modifiers) return apply_modifiers(document, update);
    const auto diff = find(update, "diff");
    if (!diff || !diff->is_document()) throw Error{Code::corrupt, "an update in the oplog has no diff"};
    return apply_diff(document, diff->value);
}

Bytes apply_diff(ByteView document, ByteView diff) { return document_after(document, diff, 0); }

Bytes apply_modifiers(ByteView document, ByteView update) {
    Bytes out = to_bytes(document);
    for (const Element& each : Elements(update)) {
        if (each.name == "$v") continue;
        if ((each.name != "$set" && each.name != "$unset") || !each.is_document()) unknown("the modifier", each.name);
        for (const Element& field : Elements(each.value))
            out = with_path(out, false, field.name, each.name == "$set" ? &field : nullptr, 0);
    }
    return out;
}

}  // namespace holdfast::mongodb
