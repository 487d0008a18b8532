#include "sources/mongodb/scope.h"

#include <algorithm>

#include "base/error.h"
#include "base/item.h"
#include "base/text.h"
#include "sources/mongodb/canary.h"
#include "sources/mongodb/catalog.h"

namespace holdfast::mongodb {

namespace {

constexpr auto databases_name = "databases", collections_name = "collections", exclude_name = "exclude";

bool any_matches(const std::vector<std::string>& patterns, const std::string& name) {
    return std::ranges::any_of(patterns, [&](const auto& each) { return each == name || glob_match(each, name); });
}

std::vector<std::string> texts_of(ByteView document, const char* name) {
    std::vector<std::string> out;
    for (const Element& each : Elements(document_of(document, name)))
        if (const auto text = each.text()) out.emplace_back(*text);
    return out;
}

bool is_apply_ops(const OplogEntry& entry) {
    const auto first = Elements(entry.object).begin();
    return entry.op == "c" && first != Elements(entry.object).end() && first->name == "applyOps";
}

}  // namespace

Scope::Scope(const CaptureOptions& options)
    : databases_(options.databases), collections_(options.collections), exclude_(options.exclude) {}

Scope Scope::parse(const std::string& text) {
    Scope out;
    try {
        const Bytes document = from_json(text);
        out.databases_ = texts_of(document, databases_name);
        out.collections_ = texts_of(document, collections_name);
        out.exclude_ = texts_of(document, exclude_name);
    } catch (const Error&) {
        throw Error{Code::corrupt, "the snapshot's scope cannot be read: {}", printable(text)};
    }
    return out;
}

std::string Scope::text() const {
    return to_json(Builder()
                       .array(databases_name, databases_)
                       .array(collections_name, collections_)
                       .array(exclude_name, exclude_)
                       .done());
}

bool Scope::is_excluded(const std::string& path) const {
    return std::ranges::any_of(
        exclude_, [&](const std::string& each) { return is_within(path, each) || glob_match(each, path); });
}

bool Scope::covers_database(const std::string& name) const {
    const bool is_named = std::ranges::find(databases_, name) != databases_.end();
    const bool is_wanted =
        is_named || (!is_internal_database(name) && (databases_.empty() || any_matches(databases_, name)));
    return is_wanted && !is_excluded(encode_database(name));
}

bool Scope::covers(const Namespace& name) const {
    if (!covers_database(name.database)) return false;
    if (is_temporary(name)) return true;
    const std::string path = item_path(visible(name));
    if (is_excluded(path)) return false;
    return collections_.empty() || any_matches(collections_, path) || name.collection == canary_collection;
}

ByteView Scope::own_part(const OplogEntry& entry, Bytes& room) const {
    if (!is_apply_ops(entry)) return concerns(entry) ? entry.document : ByteView();
    std::vector<Bytes> kept;
    bool is_whole = true;
    for (const Element& each : Elements(document_of(entry.object, "applyOps"))) {
        if (!each.is_document()) continue;
        Bytes inner;
        const ByteView own = own_part(parse_entry(each.value), inner);
        is_whole = is_whole && own.data() == each.value.data();
        if (!own.empty()) kept.push_back(to_bytes(own));
    }
    if (is_whole) return entry.document;
    // Of a transaction in several entries all are needed, to know that none is missing.
    if (kept.empty() && entry.step() != OplogEntry::Step::part && !entry.has_earlier_parts()) return {};
    Builder object;
    for (const Element& each : Elements(entry.object)) {
        if (each.name == "applyOps")
            object.array("applyOps", kept);
        else
            object.add(each);
    }
    Builder out;
    for (const Element& each : Elements(entry.document)) {
        if (each.name == "o")
            out.document("o", object.done());
        else
            out.add(each);
    }
    room = out.done();
    return room;
}

bool Scope::concerns(const OplogEntry& operation) const {
    if (operation.op == "n") return false;
    if (operation.op == "c") return concerns_command(operation);
    const Namespace name = split_namespace(operation.ns);
    if (name.collection != views_collection) return covers(name);
    return covers(split_namespace(text_of(operation.op == "u" ? operation.object2 : operation.object, "_id")));
}

bool Scope::concerns_command(const OplogEntry& entry) const {
    const std::string database = split_namespace(entry.ns).database;
    const auto first = Elements(entry.object).begin();
    if (first == Elements(entry.object).end()) return covers_database(database);
    if (first->name == "commitTransaction" || first->name == "abortTransaction") return true;
    if (first->name == "renameCollection")
        return covers(split_namespace(first->text().value_or(""))) ||
               covers(split_namespace(text_of(entry.object, "to")));
    const Namespace name{database, std::string(first->text().value_or(""))};
    // Of a database, or of a kind that is not known: who reads it stops there.
    if (name.collection.empty() || name.collection == views_collection) return covers_database(database);
    return covers(name);
}

bool Scope::is_entered_by(const OplogEntry& entry) const {
    if (entry.op != "c") return false;
    if (is_apply_ops(entry)) {
        for (const Element& each : Elements(document_of(entry.object, "applyOps")))
            if (each.is_document() && is_entered_by(parse_entry(each.value))) return true;
        return false;
    }
    const auto from = find(entry.object, "renameCollection");
    return from && !covers(split_namespace(from->text().value_or(""))) &&
           covers(split_namespace(text_of(entry.object, "to")));
}

}  // namespace holdfast::mongodb
