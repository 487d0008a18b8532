#include "sources/mongodb/capture.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "source/item_list.h"
#include "sources/mongodb/chosen.h"
#include "sources/mongodb/reading.h"
#include "sources/mongodb/scope.h"

namespace holdfast::mongodb {

namespace {

Bytes everything_of(Client& client, const std::string& collection, const std::vector<std::string>& databases) {
    Builder query;
    query.text("find", collection);
    if (!databases.empty())
        query.document("filter", Builder().document("db", Builder().array("$in", databases).done()).done());
    query.document("sort", Builder().i32("_id", 1).done());
    Bytes out;
    Cursor cursor(client, "admin", query.done(), {});
    while (true) {
        const ByteView document = cursor.next();
        if (document.empty()) return out;
        append(out, document);
    }
}

struct Place {
    enum class Kind : std::uint8_t { bytes, collection, oplog };
    Kind kind = Kind::bytes;
    const Collection* collection = nullptr;
    Bytes bytes = {};
};

class MongoCapture final : public Capture {
public:
    MongoCapture(World& world, const CaptureOptions& options)
        : world_(world),
          options_(options),
          client_(world, options.endpoint, Code::source_failed),
          pool_(world, options.endpoint.direct_to(client_.server()), Code::source_failed) {
        refuse_sharded(client_);
        choose_instant();
        if (std::string version = feature_version(client_); !version.empty())
            readings_.add({{"", "about feature version", std::move(version)}});
        readings_.add({{"", "about server version", client_.server_version()},
                       {"", "about server", client_.server()},
                       {"", "about line", instant_.line()},
                       {"", "about consistency", instant_.description()},
                       {"", scope_fact, scope_.text()}});
        if (instant_.kind() == Consistency::none && options.consistency != Consistency::none)
            tell_why_not_one_instant();
        list_items();
    }

    bool next(Batch& batch) override {
        world_.stop.check();
        if (!items_.next(batch)) return false;
        for (Batch::Entry& entry : batch.entries)
            if (entry.item.kind == ItemKind::file) remember(entry);
        return true;
    }

    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }

    Opened open(const Batch& batch, const Batch::Entry& entry) override { return open_changed(batch, entry, {}); }

    Opened open_changed(const Batch&, const Batch::Entry& entry, std::vector<ByteRange> kept) override {
        const auto& listed = items_.at(entry.item.path);
        const Note note{"reading {}", listed.path};
        switch (listed.place.kind) {
            case Place::Kind::bytes:
                return {bytes_data(listed.place.bytes), std::nullopt};
            case Place::Kind::collection:
                return {collection_data(pool_,
                                        {*listed.place.collection, instant_, sizes_.at(listed.place.collection),
                                         options_.range_bytes},
                                        changes_of(entry, std::move(kept)), readings_),
                        std::nullopt};
            case Place::Kind::oplog:
                return {oplog_data(pool_, world_, {instant_, scope_, captured()}, readings_), std::nullopt};
        }
        throw Error{Code::internal, "{} has no content", listed.path};
    }

    CaptureSummary finish() override {
        for (const auto& each : remembered_) each->keep();
        CaptureSummary out;
        out.facts = readings_.take(instant_.kind());
        out.several_instants = instant_.kind() == Consistency::none;
        out.left_out = left_out_;
        if (instant_.kind() == Consistency::snapshot)
            out.moment = instant_.snapshot_moment(client_);
        else
            out.moment = readings_.moment();
        return out;
    }

private:
    // In small collections, and in those that come in no order, whole chunks are the same or not.
    void remember(Batch::Entry& entry) {
        constexpr std::uint64_t bytes_min = 64 * 1024;
        const Place& place = items_.at(entry.item.path).place;
        if (place.kind != Place::Kind::collection || place.collection->is_capped() ||
            entry.expected_bytes < bytes_min || memory_folder_.empty())
            return;
        entry.version = ContentVersion{world_.random.array<ContentVersion::size>()}.hex();
        if (const auto earlier = MemoryReader::open(memory_path(memory_folder_, entry.item.path)))
            entry.based_on = earlier->version().hex();
    }

    Changes changes_of(const Batch::Entry& entry, std::vector<ByteRange> kept) {
        const auto version = ContentVersion::from_hex_text(entry.version);
        if (!version) return Changes::none();
        const std::string path = memory_path(memory_folder_, entry.item.path);
        auto earlier = kept.empty() ? nullptr : MemoryReader::open(path);
        if (earlier && earlier->version().hex() != entry.based_on) earlier.reset();
        const HashKey key = earlier ? earlier->hash_key() : HashKey{world_.random.array<HashKey::size>()};
        auto now = std::make_shared<MemoryWriter>(path, *version, key);
        {
            const std::lock_guard lock(mutex_);
            remembered_.push_back(now);
        }
        return {std::move(earlier), std::move(kept), std::move(now), key};
    }

    // What is listed is what there is at the instant: the oplog is read from before the list; a snapshot read lies between
    // two lists that are equal.
    void choose_instant() {
        constexpr int tries_max = 10, snapshot_tries_max = 5;
        Consistency wanted = options_.consistency;
        for (int i = 0; i < tries_max; ++i) {
            if (i == snapshot_tries_max && wanted == Consistency::automatic) wanted = Consistency::oplog;
            Instant::Reading reading;
            reading.log_begins = Instant::log_begins(client_);
            Chosen chosen = choose(client_, options_, scope_);
            if (i == 0) tell_of_idle(client_, chosen.idle_globs);
            databases_ = std::move(chosen.databases);
            const Bytes before = metadata_of(databases_);
            sizes_.clear();
            for (const auto& [name, collections] : databases_)
                for (const Collection& each : collections) {
                    if (each.is_view()) continue;
                    const Namespace stored{name, each.stored_name()};
                    reading.bytes += sizes_.emplace(&each, estimate_size(client_, stored)).first->second.bytes;
                    if (!reading.any) reading.any = stored;
                    if (each.is_capped()) reading.capped = each.name;
                }
            instant_ = Instant::choose(client_, wanted, reading);
            if (instant_.kind() != Consistency::snapshot ||
                metadata_of(choose(client_, options_, scope_).databases) == before)
                return;
            world_.stop.check();
        }
        throw Error{Code::source_failed, "collections of {} are made, changed and dropped all the time",
                    options_.endpoint.shown()}
            .hint("`consistency: oplog` captures while that goes on.");
    }

    using Databases = std::map<std::string, std::vector<Collection>>;

    static Bytes metadata_of(const Databases& databases) {
        Bytes out;
        for (const auto& [name, collections] : databases) {
            append(out, as_bytes(name));
            append(out, encode_metadata(collections));
        }
        return out;
    }

    void tell_why_not_one_instant() {
        std::string why = fmt::format("the oplog of {} is empty", options_.endpoint.shown()), hint;
        try {
            require_oplog(client_);
        } catch (const Error& error) {
            if (error.code() != Code::source_failed) throw;
            why = error.message();
            hint = error.hint();
        }
        world_.log.warning(fmt::format(
            "{}: each collection is captured as it is when it is read, all together are not one instant. {}", why,
            hint));
    }

    std::vector<Collection> captured() const {
        std::vector<Collection> out;
        for (const auto& [name, collections] : databases_)
            out.insert(out.end(), collections.begin(), collections.end());
        return out;
    }

    void list_bytes(std::string path, Bytes bytes) {
        const std::uint64_t size = bytes.size();
        items_.add(std::move(path), {Place::Kind::bytes, nullptr, std::move(bytes)}, size);
    }

    // Those who may not be read are left out, for a database is worth having without them.
    void list_users() {
        constexpr std::int64_t atlas_refuses = 8000;  // in its own words
        std::string why;
        for (const auto& [item, collection] :
             {std::pair(users_item, "system.users"), std::pair(roles_item, "system.roles")}) {
            const Reply one = client_.ask(
                "admin", Builder().text("find", collection).i64("limit", 1).boolean("singleBatch", true).done());
            if (one.code == server_code::unauthorized || one.code == atlas_refuses) {
                left_out_.emplace_back(item);
                why = one.message;
                continue;
            }
            Bytes bytes =
                everything_of(client_, collection, options_.databases.empty() ? std::vector<std::string>{} : names());
            if (!bytes.empty()) list_bytes(std::string(item), std::move(bytes));
        }
        if (left_out_.empty()) return;
        readings_.add({{"", std::string(users_fact), why}});
        world_.log.warning(fmt::format(
            "users and roles are not captured: {}. The role `backup` on `admin` may read them", printable(why)));
    }

    std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& [name, collections] : databases_) out.push_back(name);
        return out;
    }

    void list_items() {
        list_users();
        std::size_t readers = 0;
        for (const auto& [name, collections] : databases_) {
            const std::string folder = encode_database(name);
            items_.add_folder(folder);
            list_bytes(metadata_item(name), encode_metadata(collections));
            for (const Collection& each : collections) {
                readings_.add(facts_of(each));
                if (each.is_view()) continue;
                items_.add(item_path(each.name), {Place::Kind::collection, &each}, sizes_.at(&each).bytes);
                ++readers;
            }
        }
        readings_.expect(readers);
        if (instant_.kind() == Consistency::oplog) {
            items_.add_folder(std::string(oplog_folder));
            // Small by name, so that it is read behind all others, with nothing left that waits for a thread.
            items_.add(std::string(oplog_item), {Place::Kind::oplog}, 0);
        }
    }

    World& world_;
    const CaptureOptions options_;
    const Scope scope_{options_};
    Client client_;
    ClientPool pool_;
    Readings readings_;
    Instant instant_;
    Databases databases_;
    std::map<const Collection*, Size> sizes_;
    ItemList<Place> items_;
    std::vector<std::string> left_out_;
    const std::string memory_folder_ = memory_folder(options_.source, options_.endpoint.shown());
    std::mutex mutex_;
    std::vector<std::shared_ptr<MemoryWriter>> remembered_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<Capture> begin_capture(World& world, const CaptureOptions& options) {
    return std::make_unique<MongoCapture>(world, options);
}

}  // namespace holdfast::mongodb
