#include "sources/mongodb/applier.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "sources/mongodb/diff.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t fetched_at_once = 1000;
constexpr std::size_t written_at_once = 2000;  // by one thread
constexpr std::size_t written_bytes = 8 * 1024 * 1024;

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

// What can be said of a time series, of what its buckets have.
Bytes time_series_options(ByteView options) {
    Builder out;
    for (const Element& each : Elements(options))
        if (is_one_of(each.name,
                      {"timeseries", "expireAfterSeconds", "collation", "storageEngine", "indexOptionDefaults"}))
            out.add(each);
    return out.done();
}

// Keys of an index as users gave them: of buckets, a field has its least and greatest value in one each, and what the
// metaField holds is in `meta`.
Bytes time_series_keys(ByteView keys, std::string_view meta_field) {
    constexpr std::string_view least = "control.min.", greatest = "control.max.", meta = "meta";
    Builder out;
    bool is_second = false;
    for (const Element& each : Elements(keys)) {
        if (each.name.starts_with(least) || each.name.starts_with(greatest)) {
            if (!is_second) out.add(each.name.substr(least.size()), each);
            is_second = !is_second;
        } else if (each.name == meta || each.name.starts_with("meta.")) {
            out.add(std::string(meta_field) + std::string(each.name.substr(meta.size())), each);
        } else {
            out.add(each);
        }
    }
    return out.done();
}

Bytes time_series_index(ByteView index, ByteView options) {
    if (const auto said = find(index, "originalSpec"); said && said->is_document()) return to_bytes(said->value);
    const std::string meta_field = text_of(document_of(options, "timeseries"), "metaField");
    Builder out;
    for (const Element& each : Elements(index)) {
        if (each.name == "key" && each.is_document())
            out.document("key", time_series_keys(each.value, meta_field));
        else
            out.add(each);
    }
    return out.done();
}

Bytes view_options(ByteView definition) {
    Builder out;
    for (const Element& each : Elements(definition))
        if (each.name != "_id") out.add(each);
    return out.done();
}

Bytes view_definition(const Collection& view) {
    Builder out;
    out.text("_id", view.name.text());
    for (const Element& each : Elements(view.options)) out.add(each);
    return out.done();
}

bool is_buckets_view(ByteView definition) { return text_of(definition, "viewOn").starts_with(buckets_prefix); }

}  // namespace

Applier::Applier(ReplayTarget& target, const std::vector<Collection>& known, Tally* tally)
    : target_(target), tally_(tally) {
    for (const Collection& each : known) {
        if (each.is_view()) views_[each.name] = view_definition(each);
        if (each.type == "timeseries") time_series_[each.name] = each.options;
        // The buckets of a time series have a UUID that no list says; they are known by their name.
        if (each.uuid.empty() || each.type == "timeseries") continue;
        const std::string uuid(as_text(each.uuid));
        by_uuid_[uuid] = each.name;
        uuids_[each.name] = uuid;
        base_uuids_.insert(uuid);
    }
}

void Applier::apply(const OplogEntry& entry) {
    apply_operation(entry);
    ++applied_;
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
    if (entry.uuid) {
        const std::string uuid(as_text(*entry.uuid));
        if (const auto known = by_uuid_.find(uuid); known != by_uuid_.end()) return known->second;
        // Its name is another one's by now: it was gone before that was captured.
        if (uuids_.contains(said)) return std::nullopt;
    }
    if (views_.contains(said)) return std::nullopt;  // as before
    return said;
}

void Applier::note(const OplogEntry& entry, const Namespace& name) {
    if (!entry.uuid) return;
    const std::string uuid(as_text(*entry.uuid));
    by_uuid_[uuid] = name;
    uuids_[name] = uuid;
}

void Applier::forget(const Namespace& name) {
    time_series_.erase(name);
    views_.erase(name);
    const auto known = uuids_.find(name);
    if (known == uuids_.end()) return;
    by_uuid_.erase(known->second);
    uuids_.erase(known);
}

Applier::Change& Applier::change_of(const Namespace& name, const Element& id, bool is_insert) {
    Pending& pending = pending_[name];
    const auto [place, is_new] = pending.places.try_emplace(id_key(id), pending.changes.size());
    if (is_new) {
        const Change::Before before = !is_past_base_ ? Change::Before::unknown
                                      : is_insert    ? Change::Before::absent
                                                     : Change::Before::present;
        pending.changes.push_back({Change::Kind::updated, before, Builder().add(id).done(), {}, {}});
        ++pending_changes_;
        pending_bytes_ += pending.changes.back().id.size() + sizeof(Change);
    }
    return pending.changes[place->second];
}

void Applier::change(const OplogEntry& entry) {
    const Namespace said = split_namespace(entry.ns);
    if (said.collection == views_collection) return change_view(entry);
    const auto name = current(entry, visible(said));
    if (!name || !target_.takes(*name)) return;
    if (is_internal_collection(name->collection)) return;  // users are not changed by documents of ours
    if (entry.uuid && !uuids_.contains(*name)) {
        // Whatever is made has an entry of its own: what neither the base nor the journal has made was gone by then.
        if (!target_.has(*name)) return;
        note(entry, *name);
    }
    if (entry.op == "i") {
        Change& change = change_of(*name, id_of(entry.object, entry), true);
        change.kind = Change::Kind::whole;
        change.document = to_bytes(entry.object);
        change.updates.clear();
        pending_bytes_ += change.document.size();
    } else if (entry.op == "d") {
        Change& change = change_of(*name, id_of(entry.object, entry), false);
        change.kind = Change::Kind::removed;
        change.document.clear();
        change.updates.clear();
    } else {
        Change& change = change_of(*name, id_of(entry.object2, entry), false);
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
    if (pending_bytes_ >= pending_bytes_max || pending_changes_ >= pending_changes_max) flush();
}

// Views are documents of system.views, also when collMod changes them.
void Applier::change_view(const OplogEntry& entry) {
    const Element id = id_of(entry.op == "u" ? entry.object2 : entry.object, entry);
    const Namespace name = split_namespace(id.text().value_or(""));
    if (!target_.takes(name)) return;
    const auto known = views_.find(name);
    if (entry.op == "d") {
        if (known == views_.end()) return;
        target_.drop(name);
        views_.erase(known);
        return;
    }
    // A collection by now: the view was gone before that was captured. A time series was made with its buckets.
    if (known == views_.end() && target_.has(name)) return;
    Bytes definition;
    if (entry.op == "i" || form_of(entry.object) == UpdateForm::whole)
        definition = to_bytes(entry.object);
    else if (known != views_.end())
        definition = apply_update(known->second, entry.object);
    else
        return;  // removed further on
    if (is_buckets_view(definition)) return;
    Collection view;
    view.name = name;
    view.type = "view";
    view.options = view_options(definition);
    target_.create(view);
    views_[name] = std::move(definition);
}

void Applier::flush() {
    // What is not there has nothing that could be removed or updated.
    std::erase_if(pending_, [&](const auto& each) {
        const auto is_whole = [](const Change& change) { return change.kind == Change::Kind::whole; };
        return !target_.has(each.first) && std::ranges::none_of(each.second.changes, is_whole);
    });
    std::vector<std::size_t> pieces;  // all are ready before the first is written
    for (const auto& [name, pending] : pending_) {
        if (tally_ != nullptr && !target_.has(name)) tally_->begin_empty(name);
        const bool is_kept = target_.ready(name) == ReplayTarget::Order::kept;
        if (tally_ != nullptr && is_kept) tally_->lose(name, "the oplog does not say what a capped collection lets go");
        pieces.push_back(is_kept ? pending.changes.size() : written_at_once);
    }
    auto piece = pieces.begin();
    for (auto& [name, pending] : pending_) {
        const std::span<Change> changes = pending.changes;
        for (std::size_t from = 0; from < changes.size(); from += *piece)
            workers_.submit(
                [this, &name = name, part = changes.subspan(from, std::min(*piece, changes.size() - from))] {
                    write(name, part);
                });
        ++piece;
    }
    workers_.drain();
    pending_.clear();
    pending_bytes_ = pending_changes_ = 0;
}

// What is written at once: documents may be large.
class Applier::Batch {
public:
    // `sum`: of what is added, where it is wanted.
    Batch(ReplayTarget& target, const Namespace& name, OrderFreeSum* sum) : target_(target), name_(name), sum_(sum) {}
    void remove(Bytes id) { removed_.push_back(std::move(id)); }
    void add(Bytes document) {
        if (sum_ != nullptr) sum_->add(document);
        bytes_ += document.size();
        documents_.push_back(std::move(document));
        if (bytes_ >= written_bytes) flush();
    }
    void flush() {
        if (!removed_.empty() || !documents_.empty()) target_.write(name_, removed_, documents_);
        removed_.clear();
        documents_.clear();
        bytes_ = 0;
    }

private:
    ReplayTarget& target_;
    const Namespace& name_;
    OrderFreeSum* const sum_;
    std::vector<Bytes> removed_, documents_;
    std::size_t bytes_ = 0;
};

// Documents at the target by their ids, many at once.
class Applier::Finder {
public:
    using Found = std::function<void(Change& change, ByteView document)>;
    Finder(ReplayTarget& target, const Namespace& name, Found found)
        : target_(target), name_(name), found_(std::move(found)) {}
    void look_for(Change& change) {
        ids_.push_back(change.id);
        places_.emplace(id_key(*find(change.id, "_id")), &change);
        if (ids_.size() >= fetched_at_once) flush();
    }
    void flush() {
        if (ids_.empty()) return;
        target_.fetch(name_, ids_, [&](ByteView document) {
            const auto id = find(document, "_id");
            const auto place = id ? places_.find(id_key(*id)) : places_.end();
            if (place == places_.end()) return;
            found_(*place->second, document);
            places_.erase(place);
        });
        for (const auto& [key, change] : places_) missing_(*change);
        ids_.clear();
        places_.clear();
    }
    void on_missing(std::function<void(const Change&)> missing) { missing_ = std::move(missing); }

private:
    ReplayTarget& target_;
    const Namespace& name_;
    const Found found_;
    std::function<void(const Change&)> missing_ = [](const Change&) {};
    std::vector<Bytes> ids_;
    std::unordered_map<std::string, Change*> places_;
};

void Applier::write(const Namespace& name, std::span<Change> changes) {
    const bool is_tallied = tally_ != nullptr && tally_->counts(name);
    TallyChange tally;
    if (is_tallied) sum_up_earlier(name, changes, tally);
    Batch batch(target_, name, is_tallied ? &tally.come : nullptr);
    for (Change& each : changes)
        if (each.kind == Change::Kind::removed) batch.remove(std::move(each.id));
    resolve(name, changes, batch, tally);
    for (Change& each : changes)
        if (each.kind == Change::Kind::whole) batch.add(std::move(each.document));
    batch.flush();
    if (is_tallied) tally_->change(name, tally);
}

// Of documents that go or are replaced, what they were. Those that are updated are looked up anyway.
void Applier::sum_up_earlier(const Namespace& name, std::span<Change> changes, TallyChange& tally) {
    Finder finder(target_, name, [&](const Change&, ByteView document) { tally.gone.add(document); });
    finder.on_missing([&](const Change& change) {
        if (change.before != Change::Before::present) return;
        ++tally.missing;
        tally.has_missing = true;
    });
    for (Change& each : changes)
        if (each.kind != Change::Kind::updated && each.before != Change::Before::absent) finder.look_for(each);
    finder.flush();
}

// Updates of documents that lie in the target. One that is not there was removed in what was captured, and the oplog
// removes it further on.
void Applier::resolve(const Namespace& name, std::span<Change> changes, Batch& batch, TallyChange& tally) {
    Finder finder(target_, name, [&](Change& change, ByteView found) {
        if (tally_ != nullptr) tally.gone.add(found);
        Bytes document = to_bytes(found);
        for (const Bytes& update : change.updates) document = apply_update(document, update);
        batch.add(std::move(document));
    });
    finder.on_missing([&](const Change& change) {
        if (change.before == Change::Before::present) tally.has_missing = true;
    });
    for (Change& each : changes)
        if (each.kind == Change::Kind::updated) finder.look_for(each);
    finder.flush();
}

void Applier::apply_command(const OplogEntry& entry) {
    const auto first = Elements(entry.object).begin();
    if (first == Elements(entry.object).end()) throw Error{Code::corrupt, "a command in the oplog is empty"};
    const std::string_view verb = first->name;
    if (is_one_of(verb, {"startIndexBuild", "dbCheck"})) return;
    if (verb == "applyOps") return apply_many(entry);
    if (verb == "commitTransaction") return apply_parts(entry.transaction(), entry);
    if (verb == "abortTransaction") return forget_parts(entry.transaction());

    const Namespace said{split_namespace(entry.ns).database, std::string(first->text().value_or(""))};
    if (verb == "renameCollection") return rename(entry);
    if (verb == "create") return create(entry, said);
    if (verb == "dropDatabase") return flush();  // its collections were dropped one by one before it
    if (said.collection == views_collection) {
        if (verb != "drop") return;
        std::erase_if(views_, [&](const auto& each) {
            const bool goes = each.first.database == said.database && target_.takes(each.first);
            if (goes) target_.drop(each.first);
            return goes;
        });
        return;
    }
    const auto name = current(entry, visible(said));
    if (name && target_.takes(*name)) apply_to(*name, entry, is_buckets(said));
}

void Applier::apply_to(const Namespace& name, const OplogEntry& entry, bool is_of_buckets) {
    const std::string_view verb = Elements(entry.object).begin()->name;
    const auto add_index = [&](ByteView index) {
        const auto options = time_series_.find(name);
        if (is_of_buckets && options != time_series_.end())
            target_.add_index(name, time_series_index(index, options->second));
        else
            target_.add_index(name, index);
    };
    if (verb == "drop") {
        drop(name);
    } else if (verb == "createIndexes") {
        Builder index;
        for (const Element& each : Elements(entry.object))
            if (each.name != "createIndexes") index.add(each);
        add_index(index.done());
    } else if (verb == "commitIndexBuild") {
        for (const Element& each : Elements(document_of(entry.object, "indexes")))
            if (each.is_document()) add_index(each.value);
    } else if (verb == "abortIndexBuild") {
        // Snapshots of earlier versions hold what was being built.
        for (const Element& each : Elements(document_of(entry.object, "indexes")))
            if (each.is_document()) target_.drop_index(name, text_of(each.value, "name"));
    } else if (is_one_of(verb, {"dropIndexes", "deleteIndexes", "dropIndex", "deleteIndex"})) {
        target_.drop_index(name, text_of(entry.object, "index"));
    } else if (is_one_of(verb, {"collMod", "convertToCapped"})) {
        flush();
        Builder command;
        for (const Element& each : Elements(entry.object))
            if (!is_of_buckets || is_one_of(each.name, {"collMod", "expireAfterSeconds", "timeseries"}))
                command.add(each);
        target_.modify(name, command.done());
        if (tally_ != nullptr && verb == "convertToCapped") tally_->lose(name, "it was made a capped collection");
    } else if (verb == "emptycapped") {
        flush();
        target_.empty(name);
        if (tally_ != nullptr) tally_->begin_empty(name);
    } else {
        throw Error{Code::corrupt, "the oplog has the command `{}`, which this version does not know", printable(verb)}
            .hint("Restore to before it, or with a newer holdfast; nothing behind it was applied.");
    }
}

void Applier::create(const OplogEntry& entry, const Namespace& said) {
    if (said.collection == views_collection) return;
    const Namespace name = visible(said);
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
    if (is_buckets(said)) collection.options = time_series_options(collection.options);
    collection.type = find(collection.options, "viewOn")       ? "view"
                      : find(collection.options, "timeseries") ? "timeseries"
                                                               : "collection";
    target_.create(collection);
    if (tally_ != nullptr && !collection.is_view()) tally_->begin_empty(name);
    if (collection.is_view()) views_[name] = view_definition(collection);
    if (collection.type == "timeseries") time_series_[name] = collection.options;
}

void Applier::drop(const Namespace& name) {
    flush();
    target_.drop(name);
    if (tally_ != nullptr) tally_->forget(name);
    forget(name);
}

void Applier::rename(const OplogEntry& entry) {
    const Namespace from = split_namespace(text_of(entry.object, "renameCollection"));
    const Namespace to = split_namespace(text_of(entry.object, "to"));
    const auto drop_target = find(entry.object, "dropTarget");
    // What had the name goes, also when what gets it is gone already.
    if (const auto uuid = drop_target ? drop_target->binary() : std::nullopt)
        if (const auto dropped = by_uuid_.find(std::string(as_text(*uuid))); dropped != by_uuid_.end())
            drop(Namespace(dropped->second));
    const auto name = current(entry, from);
    if (!name || *name == to) return;         // gone, or the base has it under its new name
    if (entry.uuid && *name != from) return;  // the base has it under a later one
    flush();
    // The base has a later one of that name, so this one was gone by then, or had another name again.
    const bool says_no_uuid = drop_target && drop_target->is_true();  // earlier servers
    if (entry.uuid && !says_no_uuid && (uuids_.contains(to) || views_.contains(to))) {
        if (!base_uuids_.contains(std::string(as_text(*entry.uuid))) && target_.has(*name)) drop(*name);
        return;
    }
    if (!target_.takes(to)) {
        if (target_.takes(*name)) drop(*name);  // it leaves what is restored
        return;
    }
    if (!target_.takes(*name))
        throw Error{Code::corrupt, "at {} {} was renamed to {}, and what it held is not among what is restored",
                    rfc3339(entry.time), printable(name->text()), printable(to.text())}
            .hint("Restore to before that, or the whole database (--beside NAME leaves the one in use alone).");
    if (!target_.has(*name)) return forget(*name);
    target_.rename(*name, to);
    if (tally_ != nullptr) tally_->rename(*name, to);
    forget(to);
    forget(*name);
    note(entry, to);
}

void Applier::apply_list(ByteView object, const OplogEntry& entry) {
    for (const Element& each : Elements(document_of(object, "applyOps")))
        if (each.is_document()) apply_operation(inner_entry(each.value, entry));
}

void Applier::apply_many(const OplogEntry& entry) {
    const std::string transaction = entry.transaction();
    switch (entry.step()) {
        case OplogEntry::Step::part:
            return keep_part(entry, transaction);
        case OplogEntry::Step::last:
            if (transactions_.contains(transaction) || entry.has_earlier_parts()) apply_parts(transaction, entry);
            break;
        default:
            break;
    }
    apply_list(entry.object, entry);
}

void Applier::remember(const OplogEntry& entry) {
    const OplogEntry::Step step = entry.step();
    if (step == OplogEntry::Step::part)
        keep_part(entry, entry.transaction());
    else if (step != OplogEntry::Step::none)
        forget_parts(entry.transaction());
}

void Applier::keep_part(const OplogEntry& entry, const std::string& transaction) {
    auto& parts = transactions_[transaction];
    if (parts.contains(entry.ts)) return;  // the oplog of the capture had it, too
    Part part;
    if (transaction_bytes_ + entry.object.size() > transaction_bytes_max) {
        const std::uint64_t at = spool_.append(entry.object);
        part.in_spool = ByteRange{at, at + entry.object.size()};
    } else {
        part.object = to_bytes(entry.object);
        transaction_bytes_ += entry.object.size();
    }
    parts.emplace(entry.ts, std::move(part));
}

// A transaction is over.
void Applier::apply_parts(const std::string& transaction, const OplogEntry& entry) {
    const auto found = transactions_.find(transaction);
    if (found == transactions_.end()) refuse_half(entry);
    Bytes read;
    for (const auto& [ts, part] : found->second) {
        if (part.in_spool) {
            read.resize(part.in_spool->end - part.in_spool->begin);
            if (spool_.read(part.in_spool->begin, read) != read.size())
                throw Error{Code::failed, "a transaction's temporary file has lost bytes"};
        }
        apply_list(part.in_spool ? ByteView(read) : ByteView(part.object), entry);
    }
    forget_parts(transaction);
}

void Applier::forget_parts(const std::string& transaction) {
    const auto found = transactions_.find(transaction);
    if (found == transactions_.end()) return;
    for (const auto& [ts, part] : found->second) transaction_bytes_ -= part.object.size();
    transactions_.erase(found);
    if (transactions_.empty()) spool_.clear();
}

}  // namespace holdfast::mongodb
