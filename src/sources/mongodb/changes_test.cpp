#include "sources/mongodb/changes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "sources/mongodb/id_order.h"

namespace holdfast::mongodb {
namespace {

using Model = std::map<int, std::string>;  // _id to text

std::vector<Bytes> documents_of(const Model& model) {
    std::vector<Bytes> out;
    for (const auto& [id, text] : model) out.push_back(Builder().i32("_id", id).text("text", text).done());
    return out;
}

// Captures as the engine does, with what the parts of one say.
class Captures {
public:
    std::uint64_t capture(const Model& model) {
        const ContentVersion version{{static_cast<std::uint8_t>(++number_)}};
        const HashKey key{{static_cast<std::uint8_t>(number_)}};
        auto earlier = content_.empty() ? nullptr : MemoryReader::open(path_);
        const HashKey used = earlier ? earlier->hash_key() : key;
        const auto now = std::make_shared<MemoryWriter>(path_, version, used);
        Changes changes(std::move(earlier), {{0, content_.size()}}, now, used);
        Bytes next;
        std::uint64_t fresh = 0;
        const auto take = [&] {
            for (; const Changes::Part* const part = changes.front(); changes.pop()) {
                append(next, part->bytes.empty()
                                 ? ByteView(content_).subspan(part->same.begin, part->same.end - part->same.begin)
                                 : part->bytes);
                fresh += part->bytes.size();
            }
        };
        const std::vector<Bytes> documents = documents_of(model);
        Bytes expected;
        for (const Bytes& each : documents) {
            changes.add(each, 0);
            take();
            append(expected, each);
        }
        changes.end();
        take();
        now->keep();
        EXPECT_TRUE(equal(next, expected));
        content_ = std::move(next);
        return fresh;
    }
    std::uint64_t bytes() const { return content_.size(); }

private:
    TemporaryFolder folder_;
    const std::string path_ = folder_.path() + "/a.documents";
    Bytes content_;
    int number_ = 0;
};

TEST(Changes, OnlyWhatChangedComesAnew) {
    std::mt19937 random{3};
    Model model;
    for (int id = 0; id < 8000; ++id)
        model[id * 10] = std::string(200 + random() % 300, 'x') + std::to_string(random());
    Captures captures;
    const std::uint64_t first = captures.capture(model);
    EXPECT_EQ(first, captures.bytes());
    EXPECT_EQ(captures.capture(model), 0U);
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 80; ++i) {
            const int id = static_cast<int>(random() % 8000) * 10;
            if (i % 10 == 0)
                model.erase(id);
            else if (i % 10 == 1)
                model[id + 5] = "new";
            else
                model[id] = std::to_string(random()) + std::string(300, 'y');
        }
        const std::uint64_t fresh = captures.capture(model);
        EXPECT_GT(fresh, 0U);
        EXPECT_LT(fresh, captures.bytes() * 2 / 100);
    }
    model.erase(model.lower_bound(20000), model.lower_bound(60000));  // many in a row
    EXPECT_LT(captures.capture(model), 5000U);
    for (int id = 20000; id < 60000; ++id) model[id] = "again";
    captures.capture(model);
    EXPECT_EQ(captures.capture(model), 0U);
}

TEST(Changes, KeysSortAsServersSort) {
    const auto key = [](const Bytes& document) { return order_key(*find(document, "_id")); };
    std::vector<std::string> sorted;
    for (const std::int64_t number : std::vector<std::int64_t>{-5'000'000'000, -7, 0, 3, 5'000'000'000})
        sorted.push_back(key(Builder().i64("_id", number).done()));
    EXPECT_EQ(key(Builder().i32("_id", 3).done()), sorted[3]);
    for (const char* const text : {"", "a", "ab", "b"}) sorted.push_back(key(Builder().text("_id", text).done()));
    sorted.push_back(key(Builder().boolean("_id", false).done()));
    sorted.push_back(key(Builder().boolean("_id", true).done()));
    EXPECT_TRUE(std::ranges::is_sorted(sorted));
}

TEST(Changes, ADamagedMemoryIsBelievedUpToTheDamage) {
    TemporaryFolder folder;
    const std::string path = folder.path() + "/a.documents";
    const HashKey key{{1}};
    DocumentHasher hash_of(key);
    {
        MemoryWriter writer(path, {{2}}, key);
        for (std::uint32_t i = 0; i < 5000; ++i)
            writer.add(std::to_string(10000 + i), hash_of(as_bytes(std::to_string(i))), 10);
        writer.end();
        writer.keep();
    }
    const auto found = [&] {
        std::size_t out = 0;
        const auto reader = MemoryReader::open(path);
        for (std::uint32_t i = 0; reader && i < 5000; ++i) {
            const auto at = reader->find(std::to_string(10000 + i), hash_of(as_bytes(std::to_string(i))));
            if (!at) continue;
            EXPECT_EQ(*at, (ByteRange{i * 10ULL, i * 10ULL + 10}));
            ++out;
        }
        return out;
    };
    EXPECT_EQ(found(), 5000U);
    Bytes whole = read_file(path);
    whole[whole.size() / 2] ^= 1;
    write_file_durably(path, whole);
    EXPECT_LT(found(), 3000U);
    EXPECT_GT(found(), 1000U);
}

}  // namespace
}  // namespace holdfast::mongodb
