#include "sources/mongodb/target.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "sources/mongodb/canary.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t written_at_once = 2000;  // documents, by one thread

bool has_documents(Client& client, const Namespace& name) {
    const Reply reply = client.ask(
        name.database, Builder().text("find", name.collection).i64("limit", 1).boolean("singleBatch", true).done());
    if (!reply.ok()) return false;
    const ByteView batch = document_of(document_of(reply.document, "cursor"), "firstBatch");
    return Elements(batch).begin() != Elements(batch).end();
}

bool expires(const Collection& collection) {
    return std::ranges::any_of(collection.indexes,
                               [](const Bytes& index) { return find(index, "expireAfterSeconds").has_value(); });
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
    if (!queried_) return;
    try {
        const Namespace left = working(*queried_);
        (void)pool_.lease()->ask(left.database, command("drop", left.collection));
    } catch (const std::exception&) {
        // The next restore by query takes it away.
    }
}

// What a newer server wrote may mean nothing to an older one, or one that is held at an older feature version.
void RestoreTarget::refuse_older(Client& client) const {
    const int captured = std::atoi(plan_.version.c_str());
    if (captured == 0 || plan_.options.older_server) return;
    std::string there = client.server_version();
    const Reply feature =
        client.ask("admin", Builder().i32("getParameter", 1).i32("featureCompatibilityVersion", 1).done());
    if (feature.ok())
        if (const std::string version =
                text_of(document_of(feature.document, "featureCompatibilityVersion"), "version");
            !version.empty())
            there = version;
    if (std::atoi(there.c_str()) >= captured) return;
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

Namespace RestoreTarget::working(const Namespace& captured) const {
    Namespace out = mapped(captured);
    if (!plan_.options.query.empty()) out.collection += ".holdfast_query";
    return out;
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
    constexpr std::string_view buckets = "system.buckets.";
    Namespace said = name;
    if (said.collection.starts_with(buckets)) said.collection.erase(0, buckets.size());
    if (!only_database_.empty() && std::ranges::find(databases_, name.database) == databases_.end()) return false;
    // One that was made after the capture comes along; what is the server's own does not.
    if (!plan_.wants)
        return std::ranges::find(databases_, name.database) != databases_.end() || !is_internal_database(name.database);
    return plan_.wants(item_path(said));
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
    std::set<Namespace> merged;
    for (const Collection& each : collections) {
        if (!plan_.options.query.empty()) refuse_query_of_many(each);
        const Namespace name = mapped(each.name);
        if (name.database == database) refuse_the_source(database);
        const auto [list, is_new] = present.try_emplace(name.database);
        if (is_new) list->second = list_collections(*client, name.database);
        const auto there = std::ranges::find(list->second, name, &Collection::name);
        const bool is_there = there != list->second.end();
        if (expires(each) || (is_there && expires(*there))) ttl_.begin();
        Made made{each, DocumentWriter::Mode::insert, false, {}};
        if (is_there && plan_.options.present == Present::fail && has_documents(*client, name))
            in_the_way.push_back(name.text());
        if (is_there && (plan_.options.present == Present::missing || plan_.options.present == Present::replace)) {
            made.is_merged = true;
            merged.insert(each.name);
            made.mode = plan_.options.present == Present::missing ? DocumentWriter::Mode::missing
                                                                  : DocumentWriter::Mode::replace;
        }
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
        const bool is_merged = merged.contains(each.name);
        if (!plan_.options.query.empty() && !each.is_view()) {
            const Namespace name = working(each.name);
            (void)client->ask(name.database, command("drop", name.collection));
            (void)client->run(name.database, command("create", name.collection));
        }
        if (is_merged || each.is_view()) continue;
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
    const Collection collection = found->second.collection;
    const DocumentWriter::Mode mode = queried_ ? DocumentWriter::Mode::insert : found->second.mode;
    lock.unlock();
    Namespace name = working(captured);
    if (collection.type == "timeseries") name.collection = "system.buckets." + name.collection;
    auto lease = pool_.lease();
    Client& client = *lease;
    return std::make_unique<Writer>(
        Writer{std::move(lease), DocumentWriter(client, name, mode, collection.is_capped()), name});
}

void RestoreTarget::wrote(const Namespace& captured, const Written& written) {
    const std::lock_guard lock(mutex_);
    made_.at(captured).written = written;
}

void RestoreTarget::add_users(std::string_view item, ByteView documents) {
    const std::lock_guard lock(mutex_);
    users_[std::string(item)] = to_bytes(documents);
}

bool RestoreTarget::has(const Namespace& name) {
    const std::lock_guard lock(mutex_);
    return made_.contains(name);
}

std::vector<Bytes> RestoreTarget::fetch(const Namespace& name, const std::vector<Bytes>& ids) {
    const Namespace there = working(name);
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
    std::vector<Bytes> out;
    while (true) {
        const ByteView document = cursor.next();
        if (document.empty()) return out;
        out.push_back(to_bytes(document));
    }
}

void RestoreTarget::write(const Namespace& name, const std::vector<Bytes>& removed,
                          const std::vector<Bytes>& documents) {
    bool in_order = false;
    {
        const std::lock_guard lock(mutex_);
        const auto found = made_.find(name);
        in_order = found != made_.end() && found->second.collection.is_capped();
        if (found == made_.end()) made_[name].collection = {name, "collection", to_bytes(empty_document()), {}, {}, {}};
    }
    const Namespace there = working(name);
    const auto send = [this, &there, in_order](const std::vector<Bytes>& list, std::size_t from, std::size_t to,
                                               bool removes) {
        const auto client = pool_.lease();
        DocumentWriter writer(*client, there, DocumentWriter::Mode::replace, in_order);
        for (std::size_t i = from; i < to; ++i) {
            if (removes)
                writer.remove(list[i]);
            else
                writer.add(list[i]);
        }
        writer.flush();
    };
    for (const bool removes : {true, false}) {
        const std::vector<Bytes>& list = removes ? removed : documents;
        const std::size_t piece = in_order ? list.size() : written_at_once;
        for (std::size_t from = 0; from < list.size(); from += piece) {
            const std::size_t to = std::min(from + piece, list.size());
            workers_.submit([&send, &list, from, to, removes] { send(list, from, to, removes); });
        }
        workers_.drain();
    }
}

void RestoreTarget::create(const Collection& collection) {
    {
        const std::lock_guard lock(mutex_);
        made_[collection.name] = {collection, DocumentWriter::Mode::insert, false, {}};
    }
    if (collection.is_view()) return;  // in the end
    const auto client = pool_.lease();
    const Namespace name = working(collection.name);
    const Reply reply = client->ask(name.database, create_command(collection, name.collection));
    if (!reply.ok() && reply.code != server_code::namespace_exists) client->fail(reply, "making " + name.text());
}

void RestoreTarget::drop(const Namespace& name) {
    const Namespace there = working(name);
    const auto client = pool_.lease();
    const Reply reply = client->ask(there.database, command("drop", there.collection));
    if (!reply.ok() && reply.code != server_code::namespace_not_found) client->fail(reply, "dropping " + there.text());
    const std::lock_guard lock(mutex_);
    made_.erase(name);
}

void RestoreTarget::rename(const Namespace& from, const Namespace& to) {
    const Namespace old_name = working(from), new_name = working(to);
    const auto client = pool_.lease();
    (void)client->ask(new_name.database, command("drop", new_name.collection));
    const Reply reply =
        client->ask("admin", Builder().text("renameCollection", old_name.text()).text("to", new_name.text()).done());
    if (!reply.ok()) client->fail(reply, "renaming " + old_name.text());
    const std::lock_guard lock(mutex_);
    Made made = std::move(made_[from]);
    made_.erase(from);
    made.collection.name = to;
    made_[to] = std::move(made);
}

void RestoreTarget::modify(const Namespace& name, ByteView command) {
    const Namespace there = working(name);
    Builder out;
    for (const Element& each : Elements(command)) {
        if (each.name == "collMod" || each.name == "convertToCapped")
            out.text(each.name, there.collection);
        else if (each.name != "index")
            out.add(each);
    }
    const auto changed = find(command, "index");
    if (changed && changed->is_document()) {
        const std::lock_guard lock(mutex_);
        for (Bytes& index : made_[name].collection.indexes) {
            if (text_of(index, "name") != text_of(changed->value, "name")) continue;
            Builder next;
            for (const Element& each : Elements(index))
                if (each.name == "name" || !find(changed->value, each.name)) next.add(each);
            for (const Element& each : Elements(changed->value))
                if (each.name != "name" && each.name != "keyPattern") next.add(each);
            index = next.done();
        }
    }
    const Bytes asked = out.done();
    auto second = Elements(asked).begin();
    if (++second == Elements(asked).end()) return;  // an index only
    const auto client = pool_.lease();
    const Reply reply = client->ask(there.database, asked);
    if (!reply.ok()) client->fail(reply, "changing " + there.text());
}

void RestoreTarget::add_index(const Namespace& name, ByteView index) {
    drop_index(name, text_of(index, "name"));
    const std::lock_guard lock(mutex_);
    Made& made = made_[name];
    if (made.collection.name.collection.empty())
        made.collection = {name, "collection", to_bytes(empty_document()), {}, {}, {}};
    if (text_of(index, "name") != "_id_") made.collection.indexes.push_back(to_bytes(index));
}

void RestoreTarget::drop_index(const Namespace& name, const std::string& index) {
    const std::lock_guard lock(mutex_);
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

void RestoreTarget::say_what_was_written(const Made& made) const {
    if (!made.is_merged) return;
    world_.log.warning(fmt::format("{}: {} documents added, {} replaced, {} left as they were",
                                   mapped(made.collection.name).text(), made.written.added, made.written.replaced,
                                   made.written.left));
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
    }
}

void RestoreTarget::choose_by_query(Made& made) {
    const Namespace from = working(made.collection.name), to = mapped(made.collection.name);
    const auto reader = pool_.lease(), client = pool_.lease();
    {
        Cursor cursor(*reader, from.database,
                      Builder().text("find", from.collection).document("filter", plan_.options.query).done(), {});
        DocumentWriter writer(*client, to, made.mode, false);
        while (true) {
            const ByteView document = cursor.next();
            if (document.empty()) break;
            writer.add(document);
        }
        writer.flush();
        made.written = writer.written();
    }
    (void)client->run(from.database, command("drop", from.collection));
    queried_.reset();
    if (!made.is_merged)
        world_.log.info(fmt::format("{}: the query chose {} documents", to.text(), made.written.added));
}

std::vector<Finding> RestoreTarget::finish() {
    if (queried_)
        if (const auto made = made_.find(*queried_); made != made_.end()) choose_by_query(made->second);
    for (const auto& [name, made] : made_)
        if (!made.collection.is_view()) build_indexes(made);
    ttl_.end();
    const auto client = pool_.lease();
    for (const auto& [name, made] : made_) {
        if (!made.collection.is_view()) {
            say_what_was_written(made);
            continue;
        }
        const Namespace there = mapped(name);
        if (plan_.options.present == Present::drop || made.is_merged)
            (void)client->ask(there.database, command("drop", there.collection));
        const Reply reply = client->ask(there.database, create_command(made.collection, there.collection));
        // One that no longer resolves was made so at the source, too; others are worth having without it.
        if (!reply.ok())
            findings_.push_back(
                {item_path(name), Finding::Kind::unsupported, "the view cannot be made: " + reply.message});
    }
    restore_users(*client);
    tell_of_canaries(*client);
    return std::move(findings_);
}

}  // namespace holdfast::mongodb
