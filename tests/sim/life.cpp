#include "life.h"

#include "repo/keys.h"
#include "testing/faulty_store.h"

namespace holdfast::testing_support {

namespace {

std::uint64_t stored_bytes(Store& store) {
    std::uint64_t sum = 0;
    for (const std::string prefix : {"data/", "meta/", "state/"})
        store.list(prefix, [&](const ObjectInfo& object) { sum += object.bytes; });
    return sum;
}

engine::PruneReport prune(Client& client) {
    engine::Progress progress;
    return engine::prune(*client.open(), {.checkpoint_entries = 4}, progress);
}

MemoryTree make_tree(const std::string& source, int version) {
    const auto number = static_cast<std::uint64_t>(version) + 100 * source.size();
    MemoryTree tree{{"/" + source + "/large", {noise(source.size(), 36'000) + noise(number, 36'000), version}},
                    {"/" + source + "/same", {noise(source.size() + 1, 17'000), 1, 50'000}},
                    {"/" + source + "/empty", {}}};
    for (int i = 0; i < 12; ++i)
        tree[fmt::format("/{}/small/{}", source, i)] = {noise(number + 7 * static_cast<std::uint64_t>(i), 900),
                                                        i % 3 == 0 ? version : 1};
    // What keeps its version keeps its bytes.
    for (int i = 0; i < 12; ++i)
        if (i % 3 != 0)
            tree[fmt::format("/{}/small/{}", source, i)].bytes = noise(static_cast<std::uint64_t>(i) + 5000, 700);
    return tree;
}

}  // namespace

const MemoryTree& tree_of(const std::string& source, int version) {
    static std::map<std::pair<std::string, int>, MemoryTree> made;
    const auto [at, fresh] = made.try_emplace({source, version});
    if (fresh) at->second = make_tree(source, version);
    return at->second;
}

const std::vector<Life::Step>& Life::steps() {
    static const std::vector<Step> all{
        {"first backup of files", [](Life& life, Client& client) { life.back_up(client, "files", 1); }},
        {"first backup of orders", [](Life& life, Client& client) { life.back_up(client, "orders", 1); }},
        {"backup of changed files", [](Life& life, Client& client) { life.back_up(client, "files", 2); }},
        {"forget", [](Life& life, Client& client) { life.forget_oldest(client, "files"); }},
        {"prune", [](Life&, Client& client) { prune(client); }},
        {"backup after the prune", [](Life& life, Client& client) { life.back_up(client, "orders", 2); }},
        {"a backup that dies", [](Life& life, Client& client) { life.die_in_a_backup(client); }},
        {"forget another", [](Life& life, Client& client) { life.forget_oldest(client, "orders"); }},
        {"prune that waits for the dead", [](Life&, Client& client) { prune(client); }},
        {"backup beside it", [](Life& life, Client& client) { life.back_up(client, "files", 3); }},
        {"unlock", [](Life& life, Client& client) { life.unlock(client); }},
        {"prune that finishes", [](Life&, Client& client) { prune(client); }},
        {"last backup", [](Life& life, Client& client) { life.back_up(client, "files", 1); }},
    };
    return all;
}

void Life::back_up(Client& client, const std::string& source, int version) {
    newest_[source] = std::max(newest_[source], version);
    const auto repository = client.open();
    const repo::Snapshot snapshot = client.small.back_up(*repository, tree_of(source, version), source);
    committed_[snapshot.id] = {source, version};
}

void Life::forget_oldest(Client& client, const std::string& source) {
    const auto repository = client.open();
    for (const repo::Snapshot& snapshot : repository->snapshots()) {
        if (snapshot.source != source || !committed_.contains(snapshot.id)) continue;
        const repo::SnapshotId id = snapshot.id;
        committed_.erase(id);
        engine::forget(*repository, {.ids = {id}, .keep = {}, .policies = {}, .source = {}, .allow_last = true});
        forgotten_.insert(id);
        return;
    }
}

void Life::expect_kept(Client& client, const engine::CheckPlan& plan) const {
    const auto repository = client.open();
    std::set<repo::SnapshotId> listed;
    for (const repo::Snapshot& snapshot : repository->snapshots()) {
        listed.insert(snapshot.id);
        const auto files = restored(*repository, snapshot.id);
        const auto told = committed_.find(snapshot.id);
        bool is_known = false;
        // Of a backup that died after its COMMIT nobody was told: it is any that was begun.
        for (int version = 1; version <= newest_.at(snapshot.source); ++version)
            if (told == committed_.end() || told->second.version == version)
                is_known = is_known || files == contents_of(tree_of(snapshot.source, version));
        EXPECT_TRUE(is_known) << "a snapshot of " << snapshot.source << " does not come back as it was";
        EXPECT_FALSE(forgotten_.contains(snapshot.id)) << "a forgotten snapshot of " << snapshot.source << " is back";
    }
    for (const auto& [id, content] : committed_)
        EXPECT_TRUE(listed.contains(id)) << "version " << content.version << " of " << content.source << " is lost";
    EXPECT_EQ(all_of(check(*repository, plan)), "");
}

void Life::unlock(Client& client) {
    const auto repository = client.open();
    engine::unlock(*repository, {.signer = repository->keys().own_id().hex()});
    somebody_died_elsewhere_ = false;
}

void Life::die_in_a_backup(Client& client) {
    somebody_died_elsewhere_ = true;
    FaultyStore store(client.store, client.small.sim);
    Client dead{client.small, store, ""};
    const auto repository = dead.open();
    store.crash_after(4);  // OPEN, and a few packs that nothing will name
    EXPECT_THROW(client.small.back_up(*repository, {{"/dead", {noise(99, 400'000)}}}, "dead"), std::exception);
}

void expect_space_comes_back(Client& client, const std::function<void()>& end_sessions) {
    engine::PruneReport last;
    for (int i = 0; i < 4; ++i) {
        last = prune(client);
        if (last.waiting_for.empty() && last.packs_deleted == 0) break;
        end_sessions();
    }
    EXPECT_EQ(last.packs_pending, 0U);
    EXPECT_EQ(last.packs_deleted, 0U) << "a fourth prune still found garbage";

    const auto repository = client.open();
    std::set<std::string> contents;
    for (const repo::Snapshot& snapshot : repository->snapshots())
        for (const auto& [path, bytes] : restored(*repository, snapshot.id)) contents.insert(bytes);
    std::uint64_t needed = 0;  // holes are at the ends
    for (const std::string& bytes : contents) needed += bytes.find_last_not_of('\0') + 1;
    EXPECT_LT(stored_bytes(client.store), needed * 5 / 4 + 64 * 1024);
}

}  // namespace holdfast::testing_support
