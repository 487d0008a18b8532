#include "sources/redis/capture.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/cluster.h"
#include "clients/redis/discover.h"
#include "sources/redis/advice.h"
#include "sources/redis/key_store.h"
#include "sources/redis/layers.h"
#include "sources/redis/memory.h"
#include "sources/redis/names.h"
#include "sources/redis/own_place.h"
#include "sources/redis/replication.h"

namespace holdfast::redis {

namespace {

constexpr std::size_t buckets_each_batch = 64;
constexpr std::size_t seed_bytes = 16;

// In which layer each row of a bucket lies: all that is kept of its plan until its items are read, which may be when all are
// planned.
struct RowLayers {
    explicit RowLayers(const BucketPlan& plan) : keys(plan.keys) {
        const std::vector<Remembered::Row>& rows = plan.now.rows;
        for (std::size_t row = keys; row < rows.size(); ++row) gone.push_back(rows[row].id);
        if (plan.now.layers.size() < 2) return;
        layers.reserve(rows.size());
        for (const Remembered::Row& row : rows) layers.push_back(row.layer);
    }
    std::size_t count() const { return keys + gone.size(); }
    std::size_t layer_of(std::size_t row) const { return layers.empty() ? 0 : layers[row]; }

    std::size_t keys;
    std::vector<KeyId> gone;           // the rows behind those of keys
    std::vector<std::uint8_t> layers;  // empty: there is only one
};

// The records of one layer, written as they are read.
class LayerData final : public ItemData {
public:
    LayerData(const KeyStore& store, std::unique_ptr<KeyStore::Loaded> loaded, std::shared_ptr<const RowLayers> rows,
              std::size_t layer)
        : store_(store), loaded_(std::move(loaded)), rows_(std::move(rows)), layer_(layer) {}

    Piece read(MutableByteView into) override {
        std::size_t done = 0;
        while (done < into.size()) {
            if (!pending_.empty()) {
                const std::size_t some = std::min(pending_.size(), into.size() - done);
                std::memcpy(into.data() + done, pending_.data(), some);
                pending_ = pending_.subspan(some);
                done += some;
            } else if (large_left_ > 0) {
                const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(large_left_, into.size() - done));
                store_.read_value(large_at_, into.subspan(done, some));
                large_at_ += some;
                large_left_ -= some;
                done += some;
            } else if (!next()) {
                break;
            }
        }
        return {done, 0};
    }

private:
    bool next() {
        while (row_ < rows_->count() && rows_->layer_of(row_) != layer_) ++row_;
        if (row_ == rows_->count()) return false;
        if (row_ < rows_->keys) {
            const KeyStore::Row& row = loaded_->rows[row_];
            pending_ = loaded_->record(row);
            if (row.is_large) {
                large_at_ = loaded_->value_place(row);
                large_left_ = row.value_bytes;
            }
        } else {
            gone_.clear();
            append_gone(gone_, rows_->gone[row_ - rows_->keys]);
            pending_ = gone_;
        }
        ++row_;
        return true;
    }

    const KeyStore& store_;
    const std::unique_ptr<KeyStore::Loaded> loaded_;
    const std::shared_ptr<const RowLayers> rows_;
    const std::size_t layer_;
    std::size_t row_ = 0;
    Bytes gone_;
    ByteView pending_;
    std::uint64_t large_at_ = 0;
    std::uint64_t large_left_ = 0;
};

// A database may have any size: a bucket is in memory as a whole, and is an item of its own.
constexpr unsigned unknown_bits = 8;

class BytesData final : public ItemData {
public:
    explicit BytesData(ByteView bytes) : bytes_(bytes) {}
    Piece read(MutableByteView into) override {
        const std::size_t some = std::min(into.size(), bytes_.size());
        if (some > 0) std::memcpy(into.data(), bytes_.data(), some);
        bytes_ = bytes_.subspan(some);
        return {some, 0};
    }

private:
    ByteView bytes_;
};

// About how many bytes each database has.
std::map<std::uint64_t, std::uint64_t> estimated_bytes(std::string_view info) {
    const auto number = [](std::string_view text) {
        std::uint64_t out = 0;
        std::from_chars(text.data(), text.data() + text.size(), out);
        return out;
    };
    const std::uint64_t all = number(info_value(info, "used_memory_dataset"));
    std::map<std::uint64_t, std::uint64_t> keys;
    std::uint64_t sum = 0;
    for (const std::string& line : split(info, '\n')) {
        const std::size_t colon = line.find(":keys=");
        if (!line.starts_with("db") || colon == std::string::npos) continue;
        const std::uint64_t count = number(std::string_view(line).substr(colon + 6));
        keys[number(std::string_view(line).substr(2, colon - 2))] = count;
        sum += count;
    }
    for (auto& [database, count] : keys)
        count = sum == 0 ? 0
                         : static_cast<std::uint64_t>(static_cast<double>(all) * static_cast<double>(count) /
                                                      static_cast<double>(sum));
    return keys;
}

Item item_of(std::string path, ItemKind kind) {
    Item out;
    out.path = std::move(path);
    out.kind = kind;
    out.mode = kind == ItemKind::folder ? 0700 : 0600;
    out.uid = ::geteuid();
    out.gid = ::getegid();
    return out;
}

class RedisCapture final : public Capture {
public:
    RedisCapture(World& world, RdbOrigin origin, const RdbInput::Read& read)
        : world_(world),
          origin_(std::move(origin)),
          memory_path_(memory_path(origin_.source, origin_.place)),
          before_(MemoryReader::open(memory_path_)),
          seed_(before_ ? before_->seed() : new_seed()),
          store_(
              world, [this](std::uint64_t number) { return choose_bits(number); }, seed_, origin_.only) {
        RdbInput in(read);
        const RdbSummary summary = read_rdb(in, store_);
        if (!in.at_end()) throw Error{Code::corrupt, "bytes follow the end of the RDB data"};
        if (!summary.has_checksum)
            world_.log.warning("the RDB data has no checksum (rdbchecksum no): damage on its way cannot be seen");
        if (store_.counts().opaque() > 0)
            world_.log.info(
                fmt::format("{} of modules are kept as they are; only a server with the same modules reads "
                            "them",
                            store_.counts().opaque() == 1 ? "one value" : "values"));
        store_.flush();
        databases_ = store_.databases();
        std::ranges::sort(databases_, ByText());
        begin_memory();
    }

    bool next(Batch& batch) override {
        world_.stop.check();
        batch = Batch{};
        if (!has_top_) {
            has_top_ = true;
            for (const std::uint64_t number : databases_)
                batch.entries.push_back({item_of(fmt::format("{}", number), ItemKind::folder), "", 0});
            batch.entries.push_back({item_of(std::string(server_item), ItemKind::file), "", store_.server().size()});
            for (const auto& [item, text] : origin_.settings)
                batch.entries.push_back({item_of(item, ItemKind::file), "", text.size()});
            std::ranges::sort(batch.entries, {}, [](const Batch::Entry& entry) { return tree_key(entry.item.path); });
            return true;
        }
        while (batch.entries.empty()) {
            if (database_ == databases_.size()) return false;
            fill(batch);
        }
        return true;
    }

    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }

    Opened open(const Batch& batch, const Batch::Entry& entry) override {
        if (entry.item.path == server_item) return {std::make_unique<BytesData>(store_.server()), std::nullopt};
        if (const auto found = origin_.settings.find(entry.item.path); found != origin_.settings.end())
            return {std::make_unique<BytesData>(as_bytes(found->second)), std::nullopt};
        const auto* const places = static_cast<const Places*>(batch.handle.get());
        const auto number = static_cast<std::size_t>(&entry - batch.entries.data());
        const Place& place = places->list.at(number);
        return {
            std::make_unique<LayerData>(store_, store_.load(places->database, place.bucket), place.rows, place.layer),
            std::nullopt};
    }

    CaptureSummary finish() override {
        if (after_) after_->commit();
        CaptureSummary out;
        out.facts = store_.facts();
        out.facts->list.insert(out.facts->list.end(), origin_.about.begin(), origin_.about.end());
        if (origin_.moment) {
            out.facts->list.push_back({"", "about instant", fmt::format("{}", origin_.moment->time / 1'000'000)});
            if (const std::string number = stream_database(); !number.empty())
                out.facts->list.push_back({"", std::string(stream_database_fact), number});
        }
        out.facts->sort();
        out.moment = origin_.moment;
        return out;
    }

private:
    struct Place {
        std::size_t bucket = 0;
        std::size_t layer = 0;
        std::shared_ptr<const RowLayers> rows;
    };
    struct Places {
        std::uint64_t database = 0;
        std::vector<Place> list;  // as the batch's entries
    };

    Bytes new_seed() {
        Bytes out(seed_bytes);
        world_.random.fill(out);
        return out;
    }

    std::string stream_database() const {
        if (origin_.stream_database) return fmt::format("{}", *origin_.stream_database);
        const auto& aux = store_.counts().aux_fields();
        const auto found = aux.find("repl-stream-db");
        return found == aux.end() ? "" : found->second;
    }

    // As before, unless it has become much more or less: other buckets mean that all is stored anew.
    unsigned choose_bits(std::uint64_t number) const {
        const auto estimated = origin_.bytes.find(number);
        const bool is_known = !origin_.bytes.empty() || origin_.bytes_each > 0;
        const unsigned fitting =
            is_known ? bucket_bits_for(estimated == origin_.bytes.end() ? origin_.bytes_each : estimated->second)
                     : unknown_bits;
        const auto remembered = before_ ? before_->bits(number) : std::nullopt;
        if (remembered && *remembered + 1 >= fitting && *remembered <= fitting + 2) return *remembered;
        return fitting;
    }

    void begin_memory() {
        BitsByDatabase bits;
        for (const std::uint64_t number : databases_) bits[number] = store_.bits(number);
        after_ = std::make_unique<MemoryWriter>(memory_path_, seed_, bits);
    }

    Remembered remembered(std::uint64_t number, std::size_t bucket) {
        if (!before_ || before_->bits(number) != store_.bits(number)) return {};
        try {
            return before_->read(number, bucket);
        } catch (const Error&) {
            before_.reset();
            return {};
        }
    }

    void fill(Batch& batch) {
        const std::uint64_t number = databases_[database_];
        const std::size_t buckets = std::size_t{1} << store_.bits(number);
        auto places = std::make_shared<Places>();
        places->database = number;
        batch.folder = fmt::format("{}", number);
        const std::size_t end = std::min(buckets, bucket_ + buckets_each_batch);
        for (; bucket_ < end; ++bucket_) {
            const BucketPlan plan = plan_bucket(remembered(number, bucket_), store_.rows(number, bucket_),
                                                {LayerId::from(world_.random.array<LayerId::size>())});
            after_->add(plan.now);
            const auto rows = std::make_shared<const RowLayers>(plan);
            // The newest first: its name comes first.
            for (std::size_t layer = plan.now.layers.size(); layer-- > 0;) {
                const Layer& each = plan.now.layers[layer];
                batch.entries.push_back(
                    {item_of(layer_path(number, bucket_, each.number), ItemKind::file), each.id.hex(), each.bytes});
                places->list.push_back({bucket_, layer, rows});
            }
        }
        batch.handle = places;
        if (bucket_ == buckets) {
            bucket_ = 0;
            ++database_;
        }
    }

    World& world_;
    const RdbOrigin origin_;
    const std::string memory_path_;
    std::unique_ptr<MemoryReader> before_;
    const Bytes seed_;
    KeyStore store_;
    std::vector<std::uint64_t> databases_;
    std::unique_ptr<MemoryWriter> after_;
    bool has_top_ = false;
    std::size_t database_ = 0;
    std::size_t bucket_ = 0;
};

}  // namespace

std::unique_ptr<Capture> capture_of(World& world, RdbOrigin origin, const RdbInput::Read& read) {
    return std::make_unique<RedisCapture>(world, std::move(origin), read);
}

namespace {

void describe_cluster(World& world, RdbOrigin& origin, Connection& connection, const CaptureOptions& options) {
    const OwnSlots own = own_slots(connection);
    if (!own.nodes.empty()) origin.about.push_back({"", std::string(nodes_fact), join(own.nodes, ",")});
    if (own.served.none()) return;
    const std::string text = to_text(own.served);
    origin.about.push_back({"", std::string(slots_fact), text});
    if (own.served.all() || options.endpoint.slot) return;
    world.log.warning(
        fmt::format("{} is one master of a cluster, and only its keys are captured: those of the slots {}; `cluster: "
                    "true` captures all "
                    "masters",
                    connection.endpoint().place(), text));
}

}  // namespace

void describe_server(World& world, RdbOrigin& origin, Connection& connection, const CaptureOptions& options) {
    if (options.with_settings) origin.settings = settings_texts(connection);
    const Reply got = connection.try_ask({"INFO"});
    for (const Observation& each : advice(got.is_error() ? "" : got.text, settings_of(connection)))
        world.log.warning(each.text);
    if (got.is_error()) return;
    const std::string& info = got.text;
    if (info_value(info, "cluster_enabled") == "1") describe_cluster(world, origin, connection, options);
    origin.bytes = estimated_bytes(info);
    for (const auto& [fact, field] : {std::pair(run_id_fact, "run_id"), {history_fact, "master_replid"}})
        if (const std::string value = info_value(info, field); !value.empty())
            origin.about.push_back({"", std::string(fact), value});
}

std::map<std::uint64_t, std::uint64_t> ask_sizes(Connection& connection) {
    const Reply got = connection.try_ask({"INFO"});
    return got.is_error() ? std::map<std::uint64_t, std::uint64_t>() : estimated_bytes(got.text);
}

std::unique_ptr<Capture> begin_capture(World& world, const CaptureOptions& options) {
    const Endpoint endpoint = discover(world, options.endpoint, options.prefer_replica, Code::source_failed);
    RdbOrigin origin{options.source, options.endpoint.shown()};
    if (endpoint.database) origin.only = static_cast<std::uint64_t>(*endpoint.database);
    {
        Connection asked(world, endpoint, Code::source_failed);
        describe_server(world, origin, asked, options);
    }
    Replication replication(world, endpoint, {.rdb_only = true, .from = {}});
    origin.moment = {replication.position(), replication.answered()};
    return capture_of(world, std::move(origin), [&](MutableByteView into) { return replication.read_rdb(into); });
}

}  // namespace holdfast::redis
