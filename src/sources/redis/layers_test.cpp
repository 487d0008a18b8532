#include "sources/redis/layers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>

namespace holdfast::redis {
namespace {

using Model = std::map<int, std::uint64_t>;  // key to version of its value

KeyId id_of(int key) { return key_id(as_bytes(std::to_string(key))); }

std::vector<KeySpool::Row> keys_of(const Model& model) {
    std::map<KeyId, KeySpool::Row> sorted;
    for (const auto& [key, value] : model) {
        KeySpool::Row each;
        each.id = id_of(key);
        each.head_bytes = static_cast<std::uint32_t>(16 + std::to_string(key).size());
        each.value_bytes = 100;
        Bytes bytes;
        ByteWriter(bytes).u64(value + 1);
        each.value_id = ValueId::from(bytes);
        sorted.emplace(each.id, each);
    }
    std::vector<KeySpool::Row> out;
    for (auto& [id, each] : sorted) out.push_back(each);
    return out;
}

using Stored = std::map<KeyId, ValueId>;  // zero: gone

// What a repository has of the layers, and what a restore makes of them.
class Repository {
public:
    void store(const BucketPlan& plan, const std::vector<KeySpool::Row>& keys) {
        now_.clear();
        for (std::size_t layer = 0; layer < plan.now.layers.size(); ++layer) {
            const LayerId id = plan.now.layers[layer].id;
            now_.push_back(id);
            if (layers_.contains(id)) continue;
            Stored& made = layers_[id];
            for (std::size_t i = 0; i < plan.now.rows.size(); ++i)
                if (plan.now.rows[i].layer == layer)
                    made[plan.now.rows[i].id] = i < plan.keys ? keys[i].value_id : ValueId{};
            bytes_ += made.size();
        }
    }
    Stored restore() const {
        Stored out;
        for (const LayerId& id : now_)
            for (const auto& [key, value] : layers_.at(id)) out[key] = value;
        std::erase_if(out, [](const auto& each) { return each.second.is_zero(); });
        return out;
    }
    std::size_t records() const { return bytes_; }

private:
    std::map<LayerId, Stored> layers_;
    std::vector<LayerId> now_;
    std::size_t bytes_ = 0;
};

TEST(Layers, ManyCapturesIntoTwoRepositoriesAlwaysRestoreWhatWasThere) {
    std::mt19937_64 random(7);
    for (int run = 0; run < 30; ++run) {
        Model model;
        Remembered memory;
        std::array<Repository, 2> repositories;
        std::uint64_t number = 0;
        for (int turn = 0; turn < 60; ++turn) {
            const std::size_t changes = random() % (turn % 10 == 9 ? 40 : 5);
            for (std::size_t i = 0; i < changes; ++i) {
                const int key = static_cast<int>(random() % 60);
                if (random() % 3 == 0)
                    model.erase(key);
                else
                    model[key] = ++number;
            }
            if (random() % 30 == 0) memory = {};  // the machine forgot
            Bytes fresh;
            ByteWriter(fresh).u64(number * 1000 + static_cast<std::uint64_t>(turn) + 1);
            const auto keys = keys_of(model);
            const BucketPlan plan = plan_bucket(memory, keys, {LayerId::from(fresh)});
            memory = plan.now;
            std::ranges::sort(memory.rows, {}, &Remembered::Row::id);
            EXPECT_LE(memory.layers.size(), layers_max + 1);
            Repository& repository = repositories[random() % 2];
            repository.store(plan, keys);
            Stored expected;
            for (const auto& each : keys) expected[each.id] = each.value_id;
            ASSERT_EQ(repository.restore(), expected) << run << " " << turn;
        }
    }
}

TEST(Layers, WhatDidNotChangeIsNotStoredAgain) {
    Model model;
    for (int i = 0; i < 1000; ++i) model[i] = 1;
    Repository repository;
    auto keys = keys_of(model);
    Remembered memory = plan_bucket({}, keys, {LayerId::from(as_bytes("0000000000000000"))}).now;
    repository.store(plan_bucket({}, keys, {LayerId::from(as_bytes("0000000000000000"))}), keys);
    const std::size_t first = repository.records();
    for (int turn = 0; turn < 16; ++turn) {
        for (int i = 0; i < 10; ++i) model[turn * 10 + i] = 2;
        keys = keys_of(model);
        const BucketPlan plan = plan_bucket(
            memory, keys, {LayerId::from(as_bytes("000000000000000" + std::string(1, static_cast<char>('a' + turn))))});
        repository.store(plan, keys);
        memory = plan.now;
    }
    // 160 changes in 16 steps, merged about log2(16) times.
    EXPECT_LE(repository.records() - first, 160U * 5);
    const BucketPlan same = plan_bucket(memory, keys, {LayerId::from(as_bytes("zzzzzzzzzzzzzzzz"))});
    EXPECT_EQ(same.bytes_new, 0U);
    EXPECT_EQ(same.now.layers.back().id, memory.layers.back().id);
}

}  // namespace
}  // namespace holdfast::redis
