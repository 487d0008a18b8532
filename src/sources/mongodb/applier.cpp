#include "sources/mongodb/applier.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "sources/mongodb/diff.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t fetched_at_once = 1000;

std::string id_key(const Element& id) {
    return std::string(1, static_cast<char>(id.type)) + std::string(as_text(id.value));
}

Element id_of(ByteView document, const OplogEntry& entry) {
    const auto id = find(document, "_id");
    if (!id)
        throw Error{Code::corrupt, "an entry `{}` of the oplog for {} names no _id", entry.op, printable(entry.ns)};
    return *id;
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
}

[[noreturn]] void refuse_half(const OplogEntry& entry) {
    throw Error{Code::corrupt, "a transaction of {} began before what was captured, so only its end is there",
                rfc3339(entry.time)}
        .hint("Restore to before it, or take another snapshot.");
}

// An operation inside of applyOps, as an entry of its own.
OplogEntry inner_entry(ByteView operation, const OplogEntry& outer) {
    OplogEntry out = parse_entry(operation);
    out.ts = outer.ts;
    out.time = outer.time;
    return out;
}

}  // namespace

Applier::Applier(ReplayTarget& target, const std::vector<Collection>& known) : target_(target) {
    for (const Collection& each : known) {
        if (each.uuid.empty()) continue;
        // The buckets of a time series have a UUID that no list says; they are known by their name.
        if (each.type == "timeseries") continue;
        const std::string uuid(as_text(each.uuid));
        by_uuid_[uuid] = each.name;
        uuids_[each.name] = uuid;
    }
}

void Applier::apply(const OplogEntry& entry) {
    apply_operation(entry);
    ++applied_;
    if (pending_bytes_ >= pending_bytes_max || pending_changes_ >= pending_changes_max) flush();
}

void Applier::apply_operation(const OplogEntry& entry) {
    if (is_one_of(entry.op, {"i", "u", "d"})) return change(entry);
    if (entry.op == "c") return apply_command(entry);
    if (is_one_of(entry.op, {"n", "km", "ci", "cu", "cd"})) return;
    throw Error{Code::corrupt, "the oplog has an entry of the kind `{}`, which this version does not know",
                printable(entry.op)}
        .hint("Restore to before it, or with a newer holdfast; nothing behind it was applied.");
}

std::optional<Namespace> Applier::current(const OplogEntry& entry, const Namespace& said) const {
    if (!entry.uuid) return said;
    const std::string uuid(as_text(*entry.uuid));
    if (const auto known = by_uuid_.find(uuid); known != by_uuid_.end()) return known->second;
    // Its name is another one's by now: it was gone before that was captured.
    if (uuids_.contains(said)) return std::nullopt;
    return said;
}

void Applier::note(const OplogEntry& entry, const Namespace& name) {
    if (!entry.uuid) return;
    const std::string uuid(as_text(*entry.uuid));
    by_uuid_[uuid] = name;
    uuids_[name] = uuid;
}

void Applier::forget(const Namespace& name) {
    const auto known = uuids_.find(name);
    if (known == uuids_.end()) return;
    by_uuid_.erase(known->second);
    uuids_.erase(known);
}

Applier::Change& Applier::change_of(const Namespace& name, const Element& id) {
    Pending& pending = pending_[name];
    const auto [place, is_new] = pending.places.try_emplace(id_key(id), pending.changes.size());
    if (is_new) {
        pending.changes.push_back({Change::Kind::updated, Builder().add(id).done(), {}, {}});
        ++pending_changes_;
        pending_bytes_ += pending.changes.back().id.size() + sizeof(Change);
    }
    return pending.changes[place->second];
}

void Applier::change(const OplogEntry& entry) {
    const auto name = current(entry, split_namespace(entry.ns));
    if (!name || !target_.takes(*name)) return;
    if (name->collection.starts_with("system.") && !is_one_of(name->collection, {"system.js"}) &&
        !name->collection.starts_with("system.buckets."))
        return;  // views and users are not changed by documents of ours
    if (entry.op == "i") {
        Change& change = change_of(*name, id_of(entry.object, entry));
        change.kind = Change::Kind::whole;
        change.document = to_bytes(entry.object);
        change.updates.clear();
        pending_bytes_ += change.document.size();
    } else if (entry.op == "d") {
        Change& change = change_of(*name, id_of(entry.object, entry));
        change.kind = Change::Kind::removed;
        change.document.clear();
        change.updates.clear();
    } else {
        Change& change = change_of(*name, id_of(entry.object2, entry));
        if (form_of(entry.object) == UpdateForm::whole) {
            change.kind = Change::Kind::whole;
            change.document = to_bytes(entry.object);
            change.updates.clear();
        } else if (change.kind == Change::Kind::whole) {
            change.document = apply_update(change.document, entry.object);
        } else if (change.kind == Change::Kind::updated) {
            change.updates.push_back(to_bytes(entry.object));
        }  // removed: it is removed once more further on, or comes again
        pending_bytes_ += entry.object.size();
    }
}

void Applier::flush() {
    for (auto& [name, pending] : pending_) flush(name, pending);
    pending_.clear();
    pending_bytes_ = pending_changes_ = 0;
}

void Applier::flush(const Namespace& name, Pending& pending) {
    resolve(name, pending);
    std::vector<Bytes> removed, documents;
    for (Change& each : pending.changes) {
        if (each.kind == Change::Kind::removed) removed.push_back(std::move(each.id));
        if (each.kind == Change::Kind::whole) documents.push_back(std::move(each.document));
    }
    if (!removed.empty() || !documents.empty()) target_.write(name, removed, documents);
}

// Updates of documents that lie in the target. One that is not there was removed in what was captured, and the oplog
// removes it further on.
void Applier::resolve(const Namespace& name, Pending& pending) {
    std::vector<Bytes> ids;
    const auto look = [&] {
        if (ids.empty()) return;
        for (Bytes& document : target_.fetch(name, ids)) {
            const auto id = find(document, "_id");
            const auto place = id ? pending.places.find(id_key(*id)) : pending.places.end();
            if (place == pending.places.end()) continue;
            Change& change = pending.changes[place->second];
            for (const Bytes& update : change.updates) document = apply_update(document, update);
            change.kind = Change::Kind::whole;
            change.document = std::move(document);
        }
        ids.clear();
    };
    for (const Change& each : pending.changes) {
        if (each.kind != Change::Kind::updated) continue;
        ids.push_back(each.id);
        if (ids.size() >= fetched_at_once) look();
    }
    look();
}

void Applier::apply_command(const OplogEntry& entry) {
    const auto first = Elements(entry.object).begin();
    if (first == Elements(entry.object).end()) throw Error{Code::corrupt, "a command in the oplog is empty"};
    const std::string_view verb = first->name;
    if (is_one_of(verb, {"startIndexBuild", "abortIndexBuild", "dbCheck"})) return;
    if (verb == "applyOps") return apply_many(entry);
    if (verb == "commitTransaction") return end_transaction(entry, true);
    if (verb == "abortTransaction") return end_transaction(entry, false);

    const Namespace said{split_namespace(entry.ns).database, std::string(first->text().value_or(""))};
    if (verb == "renameCollection") return rename(entry);
    if (verb == "create") return create(entry, said);
    if (verb == "dropDatabase") return flush();  // its collections were dropped one by one before it
    const auto name = current(entry, said);
    if (!name || !target_.takes(*name)) return;
    if (verb == "drop") {
        flush();
        target_.drop(*name);
        forget(*name);
    } else if (verb == "createIndexes") {
        Builder index;
        for (const Element& each : Elements(entry.object))
            if (each.name != "createIndexes") index.add(each);
        target_.add_index(*name, index.done());
    } else if (verb == "commitIndexBuild") {
        for (const Element& each : Elements(document_of(entry.object, "indexes")))
            if (each.is_document()) target_.add_index(*name, each.value);
    } else if (is_one_of(verb, {"dropIndexes", "deleteIndexes", "dropIndex", "deleteIndex"})) {
        target_.drop_index(*name, text_of(entry.object, "index"));
    } else if (is_one_of(verb, {"collMod", "convertToCapped"})) {
        flush();
        target_.modify(*name, entry.object);
    } else {
        throw Error{Code::corrupt, "the oplog has the command `{}`, which this version does not know", printable(verb)}
            .hint("Restore to before it, or with a newer holdfast; nothing behind it was applied.");
    }
}

void Applier::create(const OplogEntry& entry, const Namespace& name) {
    if (entry.uuid && by_uuid_.contains(std::string(as_text(*entry.uuid)))) return;  // the base has it
    if (!target_.takes(name)) return;
    flush();
    if (target_.has(name)) return;
    note(entry, name);
    Collection collection;
    collection.name = name;
    Builder options;
    for (const Element& each : Elements(entry.object)) {
        if (each.name == "create" || each.name == "recordIdsReplicated") continue;
        if (each.name == "idIndex")
            collection.id_index = to_bytes(each.value);
        else
            options.add(each);
    }
    collection.options = options.done();
    collection.type = find(collection.options, "viewOn")       ? "view"
                      : find(collection.options, "timeseries") ? "timeseries"
                                                               : "collection";
    target_.create(collection);
}

void Applier::rename(const OplogEntry& entry) {
    const Namespace from = split_namespace(text_of(entry.object, "renameCollection"));
    const Namespace to = split_namespace(text_of(entry.object, "to"));
    const auto name = current(entry, from);
    if (!name || *name == to) return;  // gone, or the base has it under its new name
    flush();
    if (!target_.takes(*name) && !target_.takes(to)) return;
    if (!target_.has(*name)) return;
    target_.rename(*name, to);
    forget(to);
    forget(*name);
    note(entry, to);
}

void Applier::apply_many(const OplogEntry& entry) {
    const std::string transaction = entry.transaction();
    const auto flag = [&](std::string_view name) {
        const auto found = find(entry.object, name);
        return found && found->is_true();
    };
    const auto apply_list = [&](ByteView object) {
        for (const Element& each : Elements(document_of(object, "applyOps")))
            if (each.is_document()) apply_operation(inner_entry(each.value, entry));
    };
    // Several inserts of one command are no transaction, though they carry the numbers of a session.
    if (transaction.empty() || number_of(entry.document, "multiOpType") == 1) return apply_list(entry.object);
    if (flag("partialTxn") || flag("prepare")) {
        transactions_[transaction].push_back(to_bytes(entry.object));
        return;
    }
    const auto earlier = transactions_.find(transaction);
    const auto previous = find(document_of(entry.document, "prevOpTime"), "ts");
    if (earlier == transactions_.end() && previous && previous->timestamp().value_or(0) != 0) refuse_half(entry);
    if (earlier != transactions_.end()) {
        const std::vector<Bytes> parts = std::move(earlier->second);
        transactions_.erase(earlier);
        for (const Bytes& part : parts) apply_list(part);
    }
    apply_list(entry.object);
}

void Applier::end_transaction(const OplogEntry& entry, bool commit) {
    const auto found = transactions_.find(entry.transaction());
    if (found == transactions_.end()) {
        if (commit) refuse_half(entry);
        return;
    }
    const std::vector<Bytes> parts = std::move(found->second);
    transactions_.erase(found);
    if (!commit) return;
    for (const Bytes& part : parts)
        for (const Element& each : Elements(document_of(part, "applyOps")))
            if (each.is_document()) apply_operation(inner_entry(each.value, entry));
}

}  // namespace holdfast::mongodb
