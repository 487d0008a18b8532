#include "sources/mongodb/target.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "source/untold_facts.h"
#include "sources/mongodb/canary.h"

namespace holdfast::mongodb {

namespace {

constexpr std::string_view staged_suffix = "_holdfast_staged";

bool has_documents(Client& client, const Namespace& name) {
    const Reply reply = client.ask(
        name.database, Builder().text("find", name.collection).i64("limit", 1).boolean("singleBatch", true).done());
    if (!reply.ok()) return false;
    const ByteView batch = document_of(document_of(reply.document, "cursor"), "firstBatch");
    return Elements(batch).begin() != Elements(batch).end();
}

bool expires(const Collection& collection) {
    const auto says_when = [](const Bytes& options) { return find(options, "expireAfterSeconds").has_value(); };
    return says_when(collection.options) || std::ranges::any_of(collection.indexes, says_when);
}

// Of "6.0.12" 6 and 0.
std::pair<int, int> release_of(const std::string& version) {
    const std::size_t dot = version.find('.');
    return {std::atoi(version.c_str()), dot == std::string::npos ? 0 : std::atoi(version.c_str() + dot + 1)};
}

}  // namespace

RestoreTarget::RestoreTarget(World& world, TargetPlan plan)
    : world_(world),
      plan_(std::move(plan)),
      pool_(world, plan_.endpoint, Code::target_failed),
      only_database_(plan_.endpoint.database()) {
    const auto client = pool_.lease();  // a server that is not there is found out before anything is read
    refuse_older(*client);
}

RestoreTarget::~RestoreTarget() {
    try {
        drop_abandoned();
        for (const auto& [name, made] : made_)
            if (made.is_staged) drop_staged(made.collection);
    } catch (const std::exception&) {
        // The next restore of it takes it away.
    }
}

// What a newer server wrote may mean nothing to an older one, or one that is held at an older feature version.
void RestoreTarget::refuse_older(Client& client) const {
    if (plan_.version.empty() || plan_.options.older_server) return;
    std::string there = feature_version(client);
    if (there.empty()) there = client.server_version();
    if (release_of(there) >= release_of(plan_.version)) return;
    throw Error{Code::target_failed, "{} is of the feature version {}, and {} was captured", plan_.endpoint.shown(),
                there, plan_.version}
        .unharmed("nothing was changed")
        .hint(
            "Restore into a server that is not older (setFeatureCompatibilityVersion raises it), or say "
            "--older-server.");
}

void RestoreTarget::name_databases(const std::vector<std::string>& captured) {
    if (only_database_.empty() || captured.size() < 2) return;
    throw Error{Code::usage, "one name is given for several databases: {}", join(captured, ", ")}
        .unharmed("nothing was changed at the target")
        .hint("Name one of them by --include DATABASE, or a target without a database.");
}

Namespace RestoreTarget::mapped(const Namespace& captured) const {
    Namespace out = captured;
    if (!only_database_.empty()) out.database = only_database_;
    const std::string item = item_path(captured), database = encode_database(captured.database);
    for (const auto& [from, to] : plan_.options.renames) {
        if (from == database) out.database = decode_part(to);
        if (from == item) return namespace_of(to);
    }
    return out;
}

Namespace RestoreTarget::staged(const Collection& collection) const {
    Namespace out = mapped(collection.name);
    if (is_temporary(collection.name)) std::ranges::replace(out.collection, '.', '_');
    out.collection += staged_suffix;
    return out;
}

Namespace RestoreTarget::working(const Made& made) const {
    return made.is_staged ? staged(made.collection) : mapped(made.collection.name);
}

Namespace RestoreTarget::stored(const Made& made) const {
    Namespace out = working(made);
    if (made.collection.type == "timeseries") out.collection.insert(0, buckets_prefix);
    return out;
}

void RestoreTarget::drop_staged(const Collection& collection) {
    const Namespace name = staged(collection);
    const auto client = pool_.lease();
    const Reply reply = client->ask(name.database, command("drop", name.collection));
    if (!reply.ok() && reply.code != server_code::namespace_not_found) client->fail(reply, "dropping " + name.text());
}

void RestoreTarget::refuse_query_of_many(const Collection& collection) {
    const auto refuse = [&](const std::string& why) {
        throw Error{Code::usage, "--query is for one collection: {}", why}
            .unharmed("nothing was changed")
            .hint("Name it by --include DATABASE/COLLECTION.");
    };
    if (collection.is_view()) return;
    const std::lock_guard lock(mutex_);
    if (queried_ && *queried_ != collection.name)
        refuse(fmt::format("{} and {} are to be restored", item_path(*queried_), item_path(collection.name)));
    if (collection.type != "collection" || collection.is_capped())
        refuse(item_path(collection.name) + " is capped or a time series");
    queried_ = collection.name;
}

bool RestoreTarget::takes(const Namespace& name) {
    if (abandoned_.contains(name)) return false;
    const bool was_captured = std::ranges::find(databases_, name.database) != databases_.end();
    if (!was_captured && (!only_database_.empty() || is_internal_database(name.database))) return false;
    if (!was_captured && !plan_.scope) {
        if (told_of_.insert(name.database).second)
            world_.log.warning(fmt::format(
                "the journal has changes of the database {}, which the snapshot has not; it does not say whether the "
                "source covers it, so it is left alone",
                printable(name.database)));
        return false;
    }
    if (plan_.scope && !plan_.scope->covers(name)) return false;
    return is_asked_for(name) || (was_captured && is_temporary(name));
}

bool RestoreTarget::is_asked_for(const Namespace& name) const {
    return !plan_.wants || plan_.wants(item_path(visible(name)));
}

void RestoreTarget::refuse_the_source(const std::string& database) {
    if (plan_.options.into_source || plan_.options.present == Present::fail || plan_.line.empty()) return;
    if (!is_source_) {
        const auto client = pool_.lease();
        is_source_ = has_oplog(*client) && line_of(*client) == plan_.line;
    }
    if (!*is_source_) return;
    throw Error{Code::usage, "the target is the very database that was captured: {} at {}", database,
                plan_.endpoint.shown()}
        .unharmed("nothing was changed")
        .hint("Restore it beside (--beside NAME) and --swap, or say --into-source.");
}

void RestoreTarget::prepare(const std::string& database, std::vector<Collection> collections) {
    const std::string note = database;
    const Note in{"restoring the database {}", note};
    const std::lock_guard one(preparing_);
    databases_.push_back(database);
    std::erase_if(collections,
                  [&](const Collection& each) { return plan_.wants && !plan_.wants(item_path(each.name)); });
    const auto client = pool_.lease();
    std::map<std::string, std::vector<Collection>> present;  // by database at the target
    std::vector<std::string> in_the_way;
    for (const Collection& each : collections) {
        if (!plan_.options.query.empty()) refuse_query_of_many(each);
        const Namespace name = mapped(each.name);
        if (name.database == database) refuse_the_source(database);
        const auto [list, is_new] = present.try_emplace(name.database);
        if (is_new) list->second = list_collections(*client, name.database);
        const auto there = std::ranges::find(list->second, name, &Collection::name);
        const bool is_there = there != list->second.end();
        if (expires(each) || (is_there && expires(*there))) ttl_.begin();
        Made made{each, DocumentWriter::Mode::insert, false, false, {}, {}, {}};
        if (is_there && plan_.options.present == Present::fail && has_documents(*client, name))
            in_the_way.push_back(name.text());
        if (is_there && (plan_.options.present == Present::missing || plan_.options.present == Present::replace)) {
            made.is_merged = true;
            made.mode = plan_.options.present == Present::missing ? DocumentWriter::Mode::missing
                                                                  : DocumentWriter::Mode::replace;
        }
        made.is_staged = !each.is_view() && (!plan_.options.query.empty() || (made.is_merged && plan_.replays));
        const std::lock_guard lock(mutex_);
        made_.emplace(each.name, std::move(made));
    }
    if (!in_the_way.empty())
        throw Error{Code::target_failed, "{} holds documents in {}, so it is not empty", plan_.endpoint.shown(),
                    in_the_way.size() == 1
                        ? in_the_way[0]
                        : fmt::format("{} and {} more collections", in_the_way[0], in_the_way.size() - 1)}
            .unharmed("nothing was changed in that database")
            .hint("--existing drop, missing or replace says what becomes of them; --beside NAME leaves them alone.");
    for (const Collection& each : collections) {
        known_.push_back(each);
        const Made& made = made_.at(each.name);  // nobody else adds to made_ now
        if (made.is_staged) {
            drop_staged(each);
            make_in(*client, each, working(made));
        }
        if (made.is_merged || each.is_view()) continue;
        const Namespace name = mapped(each.name);
        const auto& list = present.at(name.database);
        if (std::ranges::find(list, name, &Collection::name) != list.end())
            (void)client->run(name.database, command("drop", name.collection));
        make_in(*client, each, name);
    }
}

void RestoreTarget::make_in(Client& client, const Collection& collection, const Namespace& name) {
    const Reply reply = client.ask(name.database, create_command(collection, name.collection));
    if (!reply.ok()) client.fail(reply, "making " + name.text());
}

std::unique_ptr<RestoreTarget::Writer> RestoreTarget::writer(const Namespace& captured) {
    std::unique_lock lock(mutex_);
    const auto found = made_.find(captured);
    if (found == made_.end()) return nullptr;
    const Made& made = found->second;
    const DocumentWriter::Mode mode = made.is_staged ? DocumentWriter::Mode::insert : made.mode;
    const bool in_order = made.collection.is_capped();
    const Namespace name = stored(made);
    lock.unlock();
    auto lease = pool_.lease();
    Client& client = *lease;
    return std::make_unique<Writer>(Writer{std::move(lease), DocumentWriter(client, name, mode, in_order), name});
}

void RestoreTarget::wrote(const Namespace& captured, const Written& written) {
    const std::lock_guard lock(mutex_);
    made_.at(captured).written = written;
}

void RestoreTarget::abandon(const Namespace& captured) {
    const std::lock_guard lock(mutex_);
    abandoned_.insert(captured);
}

void RestoreTarget::drop_abandoned() {
    for (const Namespace& each : std::exchange(abandoned_, {})) {
        const auto made = made_.find(each);
        lost_.insert(each);
        if (made == made_.end()) continue;
        // Where it was merged, what is there was there before.
        if (!made->second.is_merged || made->second.is_staged) drop(each);
        made_.erase(each);
    }
}

void RestoreTarget::add_users(std::string_view item, ByteView documents) {
    const std::lock_guard lock(mutex_);
    users_[std::string(item)] = to_bytes(documents);
}

bool RestoreTarget::has(const Namespace& name) {
    const std::lock_guard lock(mutex_);
    return made_.contains(name);
}

void RestoreTarget::settle(Client& client, Made& made) {
    const Namespace name = mapped(made.collection.name);
    if (!plan_.options.renames.empty())
        for (const auto& [other, there] : made_)
            if (other != made.collection.name && mapped(other) == name)
                throw Error{Code::usage, "{} and {} would both become {}", other.text(), made.collection.name.text(),
                            name.text()}
                    .hint("Restore to before the second one was made, or rename it, too.");
    if (name.database == made.collection.name.database) refuse_the_source(name.database);
    made.mode = DocumentWriter::Mode::insert;
    made.is_merged = made.is_staged = false;
    const auto there = look_up(client, name);
    if (there) {
        const Present present = plan_.options.present;
        if (present == Present::fail && has_documents(client, name))
            throw Error{Code::target_failed, "{} holds documents in {}, which the source made after its snapshot",
                        plan_.endpoint.shown(), name.text()}
                .unharmed(name.text() + " was not changed")
                .hint("--existing drop, missing or replace says what becomes of it; --beside NAME leaves it alone.");
        if (expires(*there)) ttl_.begin();
        made.is_merged = present == Present::missing || present == Present::replace;
        if (made.is_merged)
            made.mode = present == Present::missing ? DocumentWriter::Mode::missing : DocumentWriter::Mode::replace;
        made.is_staged = !made.collection.is_view();
    }
    // It may never be finished, and the target has others of its own.
    if (is_temporary(made.collection.name)) made.is_staged = true;
    const bool is_queried =
        !plan_.options.query.empty() && !made.collection.is_view() && is_asked_for(made.collection.name);
    if (is_queried) refuse_query_of_many(made.collection);
    // Time series cannot be renamed to where they belong; what a query finds goes there document by document.
    const bool is_made_anew = !made.is_merged && (is_queried || made.collection.type == "timeseries");
    if (is_made_anew && there) (void)client.run(name.database, command("drop", name.collection));
    if (is_queried && is_made_anew) make_in(client, made.collection, name);
    if (is_made_anew) made.is_staged = is_queried;
    if (made.is_staged) drop_staged(made.collection);
}

void RestoreTarget::arrive(const Collection& collection) {
    if (expires(collection)) ttl_.begin();
    Made made{collection, {}, false, false, {}, {}, {}};
    // A rename makes one that lasts of it.
    if (find(collection.options, "temp")) made.unknown_options = "it was made as a temporary one";
    if (collection.type == "timeseries")
        made.unknown_options = made.unknown_indexes = "the journal tells of buckets, not of time series";
    const auto client = pool_.lease();
    settle(*client, made);
    if (!collection.is_view()) make_in(*client, collection, working(made));
    const std::lock_guard lock(mutex_);
    gone_.erase(collection.name);
    made_[collection.name] = std::move(made);
}

ReplayTarget::Order RestoreTarget::ready(const Namespace& name) {
    if (!made_.contains(name)) arrive({name, "collection", to_bytes(empty_document()), {}, {}, {}});
    const Made& made = made_.at(name);
    if (made.is_merged && !made.is_staged)
        throw Error{Code::corrupt, "the snapshot holds changes of {} that it does not tell of", name.text()};
    return made.collection.is_capped() ? Order::kept : Order::any;
}

void RestoreTarget::fetch(const Namespace& name, const std::vector<Bytes>& ids,
                          const std::function<void(ByteView)>& each) {
    const Namespace there = stored(made_.at(name));
    Builder list;
    const std::size_t begun = list.begin("$in", BsonType::array);
    for (std::size_t i = 0; i < ids.size(); ++i) list.add(std::to_string(i), *Elements(ids[i]).begin());
    list.end(begun);
    const auto client = pool_.lease();
    Cursor cursor(*client, there.database,
                  Builder()
                      .text("find", there.collection)
                      .document("filter", Builder().document("_id", list.done()).done())
                      .done(),
                  {});
    while (true) {
        const ByteView document = cursor.next();
        if (document.empty()) return;
        each(document);
    }
}

void RestoreTarget::write(const Namespace& name, const std::vector<Bytes>& removed,
                          const std::vector<Bytes>& documents) {
    world_.stop.check();
    const Made& made = made_.at(name);
    const auto client = pool_.lease();
    DocumentWriter writer(*client, stored(made), DocumentWriter::Mode::replace, made.collection.is_capped());
    for (const Bytes& each : removed) writer.remove(each);
    for (const Bytes& each : documents) writer.add(each);
    writer.flush();
}

void RestoreTarget::create(const Collection& collection) {
    const auto found = made_.find(collection.name);
    if (found == made_.end()) return arrive(collection);
    found->second.collection = collection;  // a view as it is by now
}

void RestoreTarget::drop(const Namespace& name) {
    const auto found = made_.find(name);
    if (found == made_.end()) return;  // what has its name at the target is another one
    if (!found->second.collection.is_view()) {
        const Namespace there = working(found->second);
        const auto client = pool_.lease();
        const Reply reply = client->ask(there.database, command("drop", there.collection));
        if (!reply.ok() && reply.code != server_code::namespace_not_found)
            client->fail(reply, "dropping " + there.text());
    }
    const std::lock_guard lock(mutex_);
    if (!found->second.is_merged && !found->second.is_staged) gone_.insert(name);
    made_.erase(found);
}

void RestoreTarget::empty(const Namespace& name) {
    const auto found = made_.find(name);
    if (found == made_.end()) return;
    const Namespace there = working(found->second);
    const auto client = pool_.lease();
    // The server's own command for it is for tests only.
    Collection now = found->second.collection;
    if (const auto present = look_up(*client, there)) now.options = present->options;
    (void)client->run(there.database, command("drop", there.collection));
    make_in(*client, now, there);
}

void RestoreTarget::rename(const Namespace& from, const Namespace& to) {
    const auto source = made_.find(from);
    if (source == made_.end()) return;
    const Namespace old_name = working(source->second);
    Made made = source->second;
    made.collection.name = to;
    const auto client = pool_.lease();
    if (const auto known = made_.find(to); known != made_.end() && !known->second.collection.is_view()) {
        made.mode = known->second.mode;
        made.is_merged = known->second.is_merged;
        made.is_staged = known->second.is_staged;
        drop(to);
    } else {
        settle(*client, made);
    }
    const Namespace new_name = working(made);
    if (old_name != new_name) {
        const Reply reply = client->ask(
            "admin", Builder().text("renameCollection", old_name.text()).text("to", new_name.text()).done());
        if (!reply.ok()) client->fail(reply, "renaming " + old_name.text());
    }
    const std::lock_guard lock(mutex_);
    if (!source->second.is_merged && !source->second.is_staged) gone_.insert(from);
    gone_.erase(to);
    made_.erase(from);
    made_[to] = std::move(made);
}

void RestoreTarget::modify(const Namespace& name, ByteView command) {
    const auto found = made_.find(name);
    if (found == made_.end()) return;
    const Namespace there = working(found->second);
    for (const Element& each : Elements(command))
        if (each.name != "collMod")
            (each.name == "index" ? found->second.unknown_indexes : found->second.unknown_options) =
                "the journal changes it in place";
    Builder out;
    for (const Element& each : Elements(command)) {
        if (each.name == "collMod" || each.name == "convertToCapped")
            out.text(each.name, there.collection);
        else if (each.name != "index")
            out.add(each);
    }
    const auto changed = find(command, "index");
    if (changed && changed->is_document()) {
        for (Bytes& index : found->second.collection.indexes) {
            if (text_of(index, "name") != text_of(changed->value, "name")) continue;
            Builder next;
            for (const Element& each : Elements(index))
                if (each.name == "name" || !find(changed->value, each.name)) next.add(each);
            for (const Element& each : Elements(changed->value))
                if (each.name != "name" && each.name != "keyPattern") next.add(each);
            index = next.done();
        }
    }
    if (find(command, "expireAfterSeconds") || expires(found->second.collection)) ttl_.begin();
    const Bytes asked = out.done();
    auto second = Elements(asked).begin();
    if (++second == Elements(asked).end()) return;  // an index only
    const auto client = pool_.lease();
    const Reply reply = client->ask(there.database, asked);
    if (!reply.ok() && reply.code != server_code::namespace_not_found) client->fail(reply, "changing " + there.text());
}

void RestoreTarget::add_index(const Namespace& name, ByteView index) {
    drop_index(name, text_of(index, "name"));
    const auto found = made_.find(name);
    if (found == made_.end() || text_of(index, "name") == "_id_") return;
    if (found->second.collection.type == "timeseries")
        found->second.unknown_indexes = "the journal tells of buckets, not of time series";
    found->second.collection.indexes.push_back(to_bytes(index));
    if (expires(found->second.collection)) ttl_.begin();
}

void RestoreTarget::drop_index(const Namespace& name, const std::string& index) {
    const auto found = made_.find(name);
    if (found == made_.end()) return;
    std::erase_if(found->second.collection.indexes, [&](const Bytes& each) { return text_of(each, "name") == index; });
}

void RestoreTarget::build_indexes(const Made& made) {
    std::vector<Bytes> wanted = made.collection.indexes;
    const Namespace name = mapped(made.collection.name);
    const auto client = pool_.lease();
    if (made.is_merged) {
        const std::vector<Collection> present = list_collections(*client, name.database);
        const auto there = std::ranges::find(present, name, &Collection::name);
        if (there != present.end())
            std::erase_if(wanted, [&](const Bytes& each) { return std::ranges::count(there->indexes, each) > 0; });
    }
    if (wanted.empty()) return;
    const Reply reply = client->ask(name.database, create_indexes_command(name.collection, wanted));
    if (!reply.ok()) client->fail(reply, "building the indexes of " + name.text());
}

std::vector<Rebuild::Records> RestoreTarget::records() const {
    std::vector<Rebuild::Records> out;
    for (const auto& [name, made] : made_)
        if (made.written)
            out.push_back({mapped(name).text(), made.written->added, made.written->replaced, made.written->left});
    return out;
}

std::vector<Fact> RestoreTarget::facts(const Tally& tally) const {
    std::vector<Fact> out;
    for (const auto& [name, made] : made_) {
        Collection now = made.collection;
        std::ranges::sort(now.indexes, {}, [](const Bytes& index) { return text_of(index, "name"); });
        const std::map<std::string_view, const std::string&> unknown{{"options", made.unknown_options},
                                                                     {"indexes", made.unknown_indexes}};
        for (Fact& fact : facts_of(now)) {
            const auto why = unknown.find(fact.name);
            if (why != unknown.end() && !why->second.empty()) fact = untold(fact.item, fact.name, why->second);
            out.push_back(std::move(fact));
        }
        if (made.collection.is_view()) continue;
        for (Fact& fact : tally.facts(name)) out.push_back(std::move(fact));
    }
    for (const Namespace& name : lost_)
        out.push_back(untold(item_path(name), "content", "it is damaged in the repository"));
    for (const Namespace& name : gone_)
        out.push_back({item_path(name), "about end", "dropped or renamed by the journal"});
    return out;
}

// What it says is measured, not promised.
void RestoreTarget::tell_of_canaries(Client& client) const {
    for (const auto& [name, made] : made_) {
        if (name.collection != canary_collection) continue;
        const Namespace there = mapped(name);
        Cursor cursor(client, there.database, command("find", there.collection), {});
        while (true) {
            const ByteView canary = cursor.next();
            if (canary.empty()) break;
            const auto at = find(canary, "at");
            if (at && at->milliseconds())
                world_.log.warning(fmt::format("the newest canary of {} that came back was written at {}",
                                               printable(text_of(canary, "_id")),
                                               rfc3339(*at->milliseconds() * (one_second / 1000))));
        }
    }
}

void RestoreTarget::restore_users(Client& client) {
    if (!plan_.options.with_users) return;
    for (const auto& [item, bytes] : users_) {
        DocumentWriter writer(client, {"admin", item == users_item ? "system.users" : "system.roles"},
                              DocumentWriter::Mode::missing, false);
        Documents documents(bytes);
        while (const auto each = documents.next()) writer.add(*each);
        writer.flush();
        tell_of_refused(item, writer.written());
    }
}

void RestoreTarget::tell_of_refused(std::string item, const Written& written) {
    if (written.refused == 0) return;
    std::string text =
        "not restored, for a unique index of the target holds its value already: " + written.refused_first;
    if (written.refused > 1) text += fmt::format(" (and {} more)", written.refused - 1);
    findings_.push_back({std::move(item), Finding::Kind::unsupported, std::move(text), written.refused});
}

// What was staged goes to where it belongs: by name when nothing is there that stays, else document by document.
void RestoreTarget::put_in_place(Made& made) {
    const Namespace to = mapped(made.collection.name);
    const auto client = pool_.lease();
    if (!made.is_merged && !queried_) {
        (void)client->ask(to.database, command("drop", to.collection));
        const Namespace from = working(made);
        const Reply reply =
            client->ask("admin", Builder().text("renameCollection", from.text()).text("to", to.text()).done());
        if (!reply.ok()) client->fail(reply, "renaming " + from.text());
        made.is_staged = false;
        return;
    }
    const Namespace from = stored(made);
    Made placed = made;
    placed.is_staged = false;
    {
        const auto reader = pool_.lease();
        Builder query;
        query.text("find", from.collection);
        if (queried_) query.document("filter", plan_.options.query);
        if (made.collection.is_capped()) query.document("sort", Builder().i32("$natural", 1).done());
        Cursor cursor(*reader, from.database, query.done(), {});
        DocumentWriter writer(*client, stored(placed), made.mode, made.collection.is_capped());
        while (true) {
            const ByteView document = cursor.next();
            if (document.empty()) break;
            writer.add(document);
        }
        writer.flush();
        made.written = writer.written();
    }
    drop_staged(made.collection);
    made.is_staged = false;
}

void RestoreTarget::make_view(Client& client, const Made& made) {
    const Namespace there = mapped(made.collection.name);
    const auto cannot = [&](const std::string& why) {
        findings_.push_back(
            {item_path(made.collection.name), Finding::Kind::unsupported, "the view cannot be made: " + why});
    };
    if (plan_.options.present != Present::fail) {
        const auto present = look_up(client, there);
        if (present && !present->is_view() && plan_.options.present != Present::drop)
            return cannot("a collection has its name, and stays");
        if (present) (void)client.run(there.database, command("drop", there.collection));
    }
    const Reply reply = client.ask(there.database, create_command(made.collection, there.collection));
    // One that no longer resolves was made so at the source, too; others are worth having without it.
    if (!reply.ok()) cannot(reply.message);
}

std::vector<Finding> RestoreTarget::finish() {
    drop_abandoned();
    for (auto each = made_.begin(); each != made_.end();) {
        const auto next = std::next(each);
        // It came along only because it might have become something else.
        if (is_temporary(each->first) && !is_asked_for(each->first)) drop(each->first);
        each = next;
    }
    for (auto& [name, made] : made_)
        if (made.is_staged) put_in_place(made);
    for (const auto& [name, made] : made_)
        if (!made.collection.is_view()) build_indexes(made);
    const auto client = pool_.lease();
    for (const auto& [name, made] : made_)
        if (made.collection.is_view()) make_view(*client, made);
    for (const auto& [name, made] : made_)
        if (made.written) tell_of_refused(item_path(name), *made.written);
    restore_users(*client);
    tell_of_canaries(*client);
    return std::move(findings_);
}

}  // namespace holdfast::mongodb
