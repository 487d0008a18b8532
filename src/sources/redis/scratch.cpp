#include "sources/redis/scratch.h"

#include "base/error.h"
#include "sandbox/sandbox.h"
#include "sources/redis/counts.h"
#include "sources/redis/key_store.h"
#include "sources/redis/names.h"
#include "sources/redis/record.h"
#include "sources/redis/replication.h"
#include "sources/redis/throwaway.h"

namespace holdfast::redis {

namespace {

constexpr std::uint64_t bytes_at_least = 64 * 1024 * 1024;
constexpr std::size_t piece_bytes = 1024 * 1024;

// Keeps all keys, and counts those that are chosen, as they will come back.
class CountedStore final : public RdbSink {
public:
    CountedStore(KeyStore& store, const KeyChoice& choice) : store_(store), choice_(choice) {
        if (!choice_.wants(std::string(server_item))) chosen_.pass_over_functions();
    }

    void version(int number) override {
        store_.version(number);
        chosen_.version(number);
    }
    void aux(const std::string& name, const std::string& text) override {
        store_.aux(name, text);
        chosen_.aux(name, text);
    }
    void function(ByteView raw) override {
        store_.function(raw);
        chosen_.function(raw);
    }
    void module_aux(ByteView raw) override { store_.module_aux(raw); }
    void begin_key(const RdbKey& key) override { store_.begin_key(key); }
    void value(ByteView raw) override { store_.value(raw); }
    void end_key(const RdbKey& key, const Value& value) override {
        store_.end_key(key, value);
        RdbKey given = key;
        if (choice_.wants_key(key.database, key.name) && choice_.take_expiry(given.expiry_ms))
            chosen_.end_key(given, value);
    }

    // With what is said of the captured server.
    Facts chosen(const std::optional<Facts>& captured) const {
        Facts out = chosen_.facts();
        if (!choice_.wants(std::string(server_item)))
            std::erase_if(out.list, [](const Fact& fact) { return fact.item == server_item; });
        if (captured)
            for (const Fact& fact : captured->list)
                if (is_about(fact) && !out.value(fact.item, fact.name)) out.list.push_back(fact);
        out.sort();
        return out;
    }

private:
    KeyStore& store_;
    KeyChoice choice_;
    RdbCounts chosen_;
};

class Scratch final : public KeyTarget {
public:
    Scratch(const RebuildRequest& request, std::unique_ptr<KeyTarget> target, KeyChoice choice)
        : world_(request.world),
          sandbox_(request.world, default_sandbox_root(), bytes_at_least),
          throwaway_(sandbox_, sandbox_.work() + "/data",
                     {.bin_dir = option_text(request.options, "bin_dir"),
                      .captured_version = captured_version(request.facts)}),
          folder_(data_folder({.world = request.world,
                               .target = throwaway_.data(),
                               .sync = false,
                               .snapshot_id = request.snapshot_id,
                               .strip = "",
                               .facts = request.facts})),
          target_(std::move(target)),
          choice_(std::move(choice)),
          captured_(request.facts) {}

    void version(int number) override { folder_->version(number); }
    void setting(const std::string& name, const std::string& text) override {
        if (choice_.wants(name)) target_->setting(name, text);
    }
    void function(ByteView raw) override { folder_->function(raw); }
    void module_aux(ByteView raw) override { folder_->module_aux(raw); }
    void begin_key(const RdbKey& key, std::uint64_t bytes) override { folder_->begin_key(key, bytes); }
    void value(ByteView raw) override { folder_->value(raw); }
    void end_key() override { folder_->end_key(); }
    void end_keys() override { folder_->end_keys(); }
    std::unique_ptr<Replay> replay(const ReplayRequest& request) override { return folder_->replay(request); }

    std::vector<Finding> finish() override {
        std::vector<Finding> findings = folder_->finish();
        throwaway_.start();
        const Bytes seed(crypto::key_bytes);
        KeyStore store(
            world_, [](std::uint64_t) { return buckets_bits; }, seed);
        read_all(store);
        give(store);
        target_->end_keys();
        if (const std::string text = choice_.expired_text(); !text.empty()) world_.log.info(text);
        for (Finding& finding : target_->finish()) findings.push_back(std::move(finding));
        return findings;
    }

    std::uint64_t left_alone() const override { return target_->left_alone(); }
    std::optional<std::uint64_t> written() const override { return written_; }
    std::optional<Facts> instant() const override { return instant_; }

private:
    static constexpr unsigned buckets_bits = 8;

    void read_all(KeyStore& store) {
        Replication replication(world_, Endpoint::parse(throwaway_.url()), {.rdb_only = true, .from = {}});
        RdbInput in([&](MutableByteView into) { return replication.read_rdb(into); });
        CountedStore counted(store, choice_);
        read_rdb(in, counted);
        store.flush();
        instant_ = counted.chosen(captured_);
    }

    struct Wanted {
        RecordHead head;
        ByteView value;  // or:
        std::optional<std::uint64_t> large;
    };
    struct HeadReader final : RecordSink {
        void key(const RecordHead& found) override { head = found; }
        void value(ByteView) override {}
        RecordHead head;
    };

    template <class Each>
    void for_wanted(const KeySpool& keys, std::uint64_t database, const Each& each) const {
        for (std::size_t bucket = 0; bucket < std::size_t{1} << keys.bits(database); ++bucket) {
            world_.stop.check();
            const auto loaded = keys.load(database, bucket);
            for (const KeySpool::Row& row : loaded->rows) {
                const ByteView record = loaded->record(row);
                HeadReader reader;
                RecordReader(reader).feed(record.first(row.head_bytes));
                if (!choice_.wants_key(database, reader.head.name)) continue;
                Wanted key{std::move(reader.head), record.subspan(row.head_bytes), {}};
                if (row.is_large) key.large = loaded->value_place(row);
                if (!each(key)) return;
            }
        }
    }

    // All databases are named before the first key is written, so that a refusal comes before the first change.
    void give(const KeyStore& store) {
        std::vector<std::uint64_t> databases;
        for (const std::uint64_t number : store.keys().databases())
            for_wanted(store.keys(), number, [&](const Wanted&) {
                databases.push_back(number);
                return false;
            });
        for (const std::uint64_t number : databases) target_->add_database(number);
        give_server(store);
        for (const std::uint64_t number : databases)
            for_wanted(store.keys(), number, [&](const Wanted& key) {
                give_key(store.keys(), number, key);
                return true;
            });
    }

    void give_server(const KeyStore& store) {
        struct Sink final : RecordSink {
            Sink(KeyTarget& to, bool all) : target(to), takes_all(all) {}
            void version(int number) override { target.version(number); }
            void function(ByteView raw) override {
                if (takes_all) target.function(raw);
            }
            void module_aux(ByteView raw) override {
                if (takes_all) target.module_aux(raw);
            }
            KeyTarget& target;
            const bool takes_all;
        } sink(*target_, choice_.wants(std::string(server_item)));
        RecordReader reader(sink);
        reader.feed(store.server());
        reader.end();
    }

    void give_key(const KeySpool& keys, std::uint64_t database, const Wanted& key) {
        std::int64_t expiry = key.head.expiry_ms;
        if (!choice_.take_expiry(expiry)) return;
        target_->begin_key({database, key.head.name, expiry, key.head.type}, key.head.value_bytes);
        if (key.large) {
            Bytes piece(piece_bytes);
            for (std::uint64_t at = 0; at < key.head.value_bytes; at += piece.size()) {
                piece.resize(std::min<std::uint64_t>(piece_bytes, key.head.value_bytes - at));
                keys.read_value(*key.large + at, piece);
                target_->value(piece);
            }
        } else {
            target_->value(key.value);
        }
        target_->end_key();
        ++written_;
    }

    World& world_;
    Sandbox sandbox_;
    Throwaway throwaway_;
    const std::unique_ptr<KeyTarget> folder_;
    const std::unique_ptr<KeyTarget> target_;
    KeyChoice choice_;
    const std::optional<Facts> captured_;
    std::optional<Facts> instant_;
    std::uint64_t written_ = 0;
};

}  // namespace

std::unique_ptr<KeyTarget> by_way_of_scratch(const RebuildRequest& request, std::unique_ptr<KeyTarget> target,
                                             KeyChoice choice) {
    return std::make_unique<Scratch>(request, std::move(target), std::move(choice));
}

}  // namespace holdfast::redis
