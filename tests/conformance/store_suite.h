// tests/conformance/store_suite.h: the promises of store/store.h, as tests that every kind of store passes.
//
// Shape    INSTANTIATE_TEST_SUITE_P(S3, StoreSuite, testing::Values(StoreKind{"s3", make_place}), kind_name);
//          make_place makes an empty place and returns its opener; each call of that opens the place once
//          more, as another process would
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "crypto/crypto.h"
#include "store/store.h"

namespace holdfast {

using StoreOpener = std::function<std::unique_ptr<Store>()>;

struct StoreKind {
    std::string name;
    std::function<StoreOpener()> make_place;
};
inline std::string kind_name(const testing::TestParamInfo<StoreKind>& info) { return info.param.name; }
inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }

// Bytes that differ with the seed in nearly every place.
inline Bytes pattern(std::size_t size, std::uint64_t seed) {
    Bytes out(size);
    std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    for (std::size_t at = 0; at < size; at += sizeof state) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::memcpy(out.data() + at, &state, std::min(sizeof state, size - at));
    }
    return out;
}

// As packs are named, by their bytes: a store may refuse others under such a name.
inline std::string name_of(std::string_view folder, ByteView bytes) {
    return std::string(folder) + "/" + to_hex(crypto::sha256(bytes));
}

class StoreSuite : public testing::TestWithParam<StoreKind> {
protected:
    Store& store() { return *store_; }
    std::unique_ptr<Store> open_again() const { return opener_(); }

    std::vector<std::string> listed(std::string_view prefix) {
        std::vector<std::string> names;
        store().list(prefix, [&](const ObjectInfo& info) { names.push_back(info.name); });
        std::ranges::sort(names);
        return names;
    }
    void expect_refused(const std::string& name) {
        const auto refuses = [&](const auto& call) {
            try {
                call();
                ADD_FAILURE() << "took the name \"" << name << '"';
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), Code::usage) << error.message();
            }
        };
        refuses([&] { store().create(name, as_bytes("x")); });
        refuses([&] { store().read(name); });
        refuses([&] { store().read_range(name, 0, 1); });
        refuses([&] { store().find(name); });
        refuses([&] { store().remove(name); });
    }
    template <class Work>
    static void in_threads(int count, const Work& work) {
        std::barrier start(count);
        std::vector<std::jthread> threads;
        for (int i = 0; i < count; ++i) {
            threads.emplace_back([&, i] {
                start.arrive_and_wait();
                try {
                    work(i);
                } catch (const std::exception& error) {
                    ADD_FAILURE() << "thread " << i << ": " << error.what();
                }
            });
        }
    }

private:
    const StoreOpener opener_ = GetParam().make_place();
    const std::unique_ptr<Store> store_ = opener_();
};

TEST_P(StoreSuite, an_object_reads_back_as_it_was_created) {
    for (const std::size_t size : {0U, 1U, 511U, 512U, 4095U, 4096U, 4097U, 100'000U, 1'048'576U, 1'048'577U}) {
        const Bytes bytes = pattern(size, size);
        const std::string name = name_of("data", bytes);
        EXPECT_EQ(store().create(name, bytes), Created::created) << size;
        const auto read = store().read(name);
        ASSERT_TRUE(read) << size;
        EXPECT_TRUE(equal(*read, bytes)) << size;
        const auto info = store().find(name);
        ASSERT_TRUE(info) << size;
        EXPECT_EQ(info->name, name);
        EXPECT_EQ(info->bytes, size);
        EXPECT_GT(info->time, 0);
    }
}

TEST_P(StoreSuite, an_object_of_32_mib_reads_back_as_it_was_created) {
    constexpr std::size_t size = 32 * 1024 * 1024;
    const Bytes bytes = pattern(size, 32);
    EXPECT_EQ(store().create("data/big", bytes), Created::created);
    const auto read = store().read("data/big");
    ASSERT_TRUE(read);
    EXPECT_TRUE(equal(*read, bytes));
    const auto end = store().read_range("data/big", size - 1000, 2000);
    ASSERT_TRUE(end);
    EXPECT_TRUE(equal(*end, ByteView(bytes).last(1000)));
    const auto middle = store().read_range("data/big", 1'000'001, 3'000'000);
    ASSERT_TRUE(middle);
    EXPECT_TRUE(equal(*middle, ByteView(bytes).subspan(1'000'001, 3'000'000)));
}

TEST_P(StoreSuite, any_byte_may_be_anywhere_in_an_object) {
    Bytes all;
    for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<std::uint8_t>(byte));
    const std::map<std::string, Bytes> objects{{"odd/all", all},
                                               {"odd/zeros", Bytes(10'000, 0)},
                                               {"odd/newlines", to_bytes(as_bytes("\r\n\n\r\r\n"))},
                                               {"odd/nul", Bytes(1, 0)}};
    for (const auto& [name, bytes] : objects) store().create(name, bytes);
    for (const auto& [name, bytes] : objects) {
        const auto read = store().read(name);
        ASSERT_TRUE(read) << name;
        EXPECT_TRUE(equal(*read, bytes)) << name;
    }
}

TEST_P(StoreSuite, what_does_not_exist_is_nothing_and_no_error) {
    store().create("log/a/1", as_bytes("x"));
    for (const std::string name : {"absent", "log/a", "log", "log/a/2", "log/b/1", "no/such/folder"}) {
        EXPECT_FALSE(store().read(name)) << name;
        EXPECT_FALSE(store().read_range(name, 0, 10)) << name;
        EXPECT_FALSE(store().find(name)) << name;
        EXPECT_NO_THROW(store().remove(name)) << name;
    }
    EXPECT_TRUE(listed("absent").empty());
    EXPECT_TRUE(listed("no/such/folder/").empty());
    EXPECT_TRUE(store().find("log/a/1"));
}

TEST_P(StoreSuite, a_second_create_changes_nothing) {
    EXPECT_EQ(store().create("log/a/1", as_bytes("first")), Created::created);
    EXPECT_EQ(store().create("log/a/1", as_bytes("second, and longer")), Created::exists);
    EXPECT_EQ(store().create("log/a/1", as_bytes("")), Created::exists);
    EXPECT_EQ(as_text(*store().read("log/a/1")), "first");
}

TEST_P(StoreSuite, of_16_threads_that_create_one_name_exactly_one_does) {
    constexpr int threads = 16;
    constexpr int rounds = 20;
    const auto other = open_again();
    for (int round = 0; round < rounds; ++round) {
        const std::string name = "log/race/" + std::to_string(round);
        std::atomic<int> winners{0};
        std::atomic<int> winner{-1};
        in_threads(threads, [&](int i) {
            Store& mine = i % 2 == 0 ? store() : *other;
            if (mine.create(name, pattern(3000, static_cast<std::uint64_t>(i))) == Created::created) {
                ++winners;
                winner = i;
            }
        });
        ASSERT_EQ(winners, 1);
        const auto read = store().read(name);
        ASSERT_TRUE(read);
        EXPECT_TRUE(equal(*read, pattern(3000, static_cast<std::uint64_t>(winner.load()))));
    }
}

TEST_P(StoreSuite, who_is_told_exists_can_read_the_object) {
    for (int round = 0; round < 10; ++round) {
        const std::string name = "gc/" + std::to_string(round);
        in_threads(4, [&](int i) {
            const Bytes bytes = pattern(20'000, static_cast<std::uint64_t>(i));
            store().create(name, bytes);
            const auto read = store().read(name);
            ASSERT_TRUE(read);
            EXPECT_EQ(read->size(), bytes.size());
        });
    }
}

TEST_P(StoreSuite, a_reader_sees_an_object_whole_or_not_at_all) {
    constexpr std::size_t size = 300'000;
    constexpr std::uint64_t objects = 12;
    const auto reader = open_again();
    std::atomic<bool> written{false};
    std::map<std::string, Bytes> all;
    for (std::uint64_t i = 0; i < objects; ++i) all.emplace(name_of("data", pattern(size, i)), pattern(size, i));
    std::jthread writer([&] {
        for (const auto& [name, bytes] : all) store().create(name, bytes);
        written = true;
    });
    bool last_round = false;
    while (!last_round) {
        last_round = written;
        std::uint64_t seen = 0;
        for (const auto& [name, bytes] : all) {
            const auto read = reader->read(name);
            if (!read) continue;
            ++seen;
            ASSERT_TRUE(equal(*read, bytes));
        }
        reader->list("data/", [&](const ObjectInfo& info) { ASSERT_EQ(info.bytes, size) << info.name; });
        if (last_round) {
            ASSERT_EQ(seen, objects);
        }
    }
}

TEST_P(StoreSuite, a_range_is_what_the_object_holds_there) {
    const Bytes bytes = pattern(10'000, 7);
    const std::string name = name_of("data", bytes);
    store().create(name, bytes);
    constexpr std::size_t all = std::numeric_limits<std::size_t>::max() / 2;
    for (const std::size_t offset : {0UL, 1UL, 4096UL, 9'999UL, 10'000UL, 10'001UL, 1UL << 40, all, 2 * all + 1}) {
        for (const std::size_t count : {0UL, 1UL, 100UL, 4096UL, 10'000UL, 1UL << 40, all}) {
            const auto read = store().read_range(name, offset, count);
            ASSERT_TRUE(read);
            const ByteView rest = offset < bytes.size() ? ByteView(bytes).subspan(offset) : ByteView();
            EXPECT_TRUE(equal(*read, rest.first(std::min(count, rest.size())))) << offset << ' ' << count;
        }
    }
    store().create("data/empty", {});
    const auto nothing = store().read_range("data/empty", 0, 10);
    ASSERT_TRUE(nothing);
    EXPECT_TRUE(nothing->empty());
}

TEST_P(StoreSuite, many_threads_read_ranges_of_many_objects) {
    constexpr std::uint64_t objects = 100;
    constexpr std::size_t size = 2000;
    for (std::uint64_t i = 0; i < objects; ++i) store().create(name_of("data", pattern(size, i)), pattern(size, i));
    in_threads(8, [&](int thread) {
        for (std::uint64_t i = 0; i < 3 * objects; ++i) {
            const std::uint64_t which = (i * 37 + static_cast<std::uint64_t>(thread)) % objects;
            const std::size_t offset = (i * 113) % size;
            const Bytes whole = pattern(size, which);
            const auto read = store().read_range(name_of("data", whole), offset, 64);
            ASSERT_TRUE(read);
            const ByteView rest = ByteView(whole).subspan(offset);
            ASSERT_TRUE(equal(*read, rest.first(std::min<std::size_t>(64, rest.size()))));
        }
    });
}

TEST_P(StoreSuite, names_are_what_the_rule_says) {
    const std::string part(100, 'p');
    const std::string longest = part + "/" + part + "/" + part + "/" + part + "/" + std::string(108, 'q');
    ASSERT_EQ(longest.size(), object_name_bytes_max);
    const std::vector<std::string> good{"config", "q",       "A.b-C_9", "tmp/x",          "-/_/--",
                                        "x.tmp",  "data/ab", "a/b/c",   "keys/a..b/c...", "~" + part};
    for (std::string name : good) {
        if (name.starts_with('~')) name = longest;
        EXPECT_EQ(store().create(name, as_bytes(name)), Created::created) << name;
        const auto read = store().read(name);
        ASSERT_TRUE(read) << name;
        EXPECT_EQ(as_text(*read), name);
        EXPECT_EQ(listed(name), std::vector{name});
    }
    for (const std::string& name :
         {std::string(),           std::string("/"),     std::string("/a"),      std::string("a/"),
          std::string("a//b"),     std::string("."),     std::string(".."),      std::string("../a"),
          std::string("a/../b"),   std::string("a/./b"), std::string(".hidden"), std::string("a/.tmp"),
          std::string("a b"),      std::string("a\\b"),  std::string("a\nb"),    std::string("a\0b", 3),
          std::string("\xc3\xa9"), std::string("a*"),    std::string("a~"),      longest + "x"})
        expect_refused(name);
}

TEST_P(StoreSuite, names_that_are_alike_name_different_objects) {
    const std::string pack = "what a pack holds";
    const std::string hex = to_hex(crypto::sha256(as_bytes(pack)));
    std::string upper = hex;
    for (char& digit : upper) digit = static_cast<char>(std::toupper(static_cast<unsigned char>(digit)));
    const std::vector<std::string> names{"data/" + hex,
                                         "meta/" + hex,
                                         "state/" + hex,
                                         "data/" + hex + "0",
                                         "data/" + hex.substr(1),
                                         "data/x" + hex,
                                         "log/" + hex,
                                         "index/" + hex.substr(0, 2) + "/" + hex,
                                         hex,
                                         "data/a/" + hex,
                                         "data/" + hex + ".tmp",
                                         "data/" + upper + "A"};
    const auto held = [&](std::size_t i) { return i < 3 ? pack : names[i]; };
    for (std::size_t i = 0; i < names.size(); ++i)
        EXPECT_EQ(store().create(names[i], as_bytes(held(i))), Created::created) << names[i];
    for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(as_text(*store().read(names[i])), held(i));
    auto sorted = names;
    std::ranges::sort(sorted);
    EXPECT_EQ(listed(""), sorted);
}

TEST_P(StoreSuite, a_listing_holds_every_object_that_starts_so_once) {
    const std::string data = name_of("data", pattern(7, 7));
    const std::map<std::string, std::size_t> sizes{
        {"config", 1},    {"log/ab/0/1", 2}, {"log/ab/0/2", 3}, {"log/abc/0/1", 4},
        {"log/b/0/1", 5}, {"logs", 6},       {data, 7},         {name_of("meta", pattern(8, 8)), 8}};
    for (const auto& [name, size] : sizes) store().create(name, pattern(size, size));
    const std::vector<std::string> prefixes{"",
                                            "c",
                                            "config",
                                            "configs",
                                            "log",
                                            "log/",
                                            "log/ab",
                                            "log/ab/",
                                            "log/ab/0/",
                                            "log/ab/0/1",
                                            "data/",
                                            data.substr(0, 6),
                                            data.substr(0, 7),
                                            data.substr(0, 14),
                                            data.substr(0, 7) + "/",
                                            "dat",
                                            name_of("meta", pattern(8, 8)),
                                            "zzz",
                                            "log/ab/0/1/"};
    for (const std::string& prefix : prefixes) {
        std::map<std::string, std::size_t> expected;
        for (const auto& [name, size] : sizes)
            if (name.starts_with(prefix)) expected.emplace(name, size);
        std::map<std::string, std::size_t> found;
        store().list(prefix, [&](const ObjectInfo& info) {
            EXPECT_TRUE(found.emplace(info.name, info.bytes).second) << info.name << " twice for " << prefix;
            EXPECT_GT(info.time, 0);
        });
        EXPECT_EQ(found, expected) << prefix;
    }
}

TEST_P(StoreSuite, a_prefix_that_is_no_name_lists_nothing_outside) {
    store().create("a/b", as_bytes("x"));
    for (const std::string_view prefix : {"/", "../", "a/../", ".tmp/", "./a"})
        EXPECT_TRUE(listed(prefix).empty()) << prefix;
}

TEST_P(StoreSuite, a_thousand_objects_are_all_there) {
    constexpr std::uint64_t objects = 1000;
    constexpr int threads = 8;
    in_threads(threads, [&](int thread) {
        for (auto i = static_cast<std::uint64_t>(thread); i < objects; i += threads)
            store().create(name_of("data", pattern(i, i)), pattern(i, i));
    });
    std::vector<std::string> expected;
    for (std::uint64_t i = 0; i < objects; ++i) {
        expected.push_back(name_of("data", pattern(i, i)));
        const auto info = store().find(expected.back());
        ASSERT_TRUE(info);
        ASSERT_EQ(info->bytes, i);
    }
    std::ranges::sort(expected);
    EXPECT_EQ(listed("data/"), expected);
}

TEST_P(StoreSuite, what_was_removed_is_absent_and_may_be_created_anew) {
    const std::string name = "log/a/1";
    const auto other = open_again();
    store().create(name, as_bytes("before"));
    EXPECT_EQ(as_text(*store().read_range(name, 0, 100)), "before");
    EXPECT_EQ(as_text(*other->read_range(name, 0, 100)), "before");

    store().remove(name);
    for (Store* each : {&store(), other.get()}) {
        EXPECT_FALSE(each->read(name));
        EXPECT_FALSE(each->read_range(name, 0, 100));
        EXPECT_FALSE(each->find(name));
    }
    EXPECT_TRUE(listed("").empty());

    EXPECT_EQ(other->create(name, as_bytes("after")), Created::created);
    for (Store* each : {&store(), other.get()}) {
        EXPECT_EQ(as_text(*each->read(name)), "after");
        EXPECT_EQ(as_text(*each->read_range(name, 0, 100)), "after");
    }
}

TEST_P(StoreSuite, objects_may_be_removed_while_they_are_listed) {
    for (std::uint64_t i = 0; i < 50; ++i) store().create(name_of("meta", pattern(10, i)), pattern(10, i));
    store().list("meta/", [&](const ObjectInfo& info) { store().remove(info.name); });
    EXPECT_TRUE(listed("").empty());
}

TEST_P(StoreSuite, what_one_created_another_sees) {
    const auto other = open_again();
    EXPECT_EQ(store().create("log/a/1", as_bytes("one")), Created::created);
    EXPECT_EQ(other->create("log/a/1", as_bytes("two")), Created::exists);
    EXPECT_EQ(as_text(*other->read("log/a/1")), "one");
    EXPECT_EQ(other->find("log/a/1")->bytes, 3U);
    EXPECT_EQ(as_text(*open_again()->read("log/a/1")), "one");
    EXPECT_EQ(other->url(), store().url());
}

TEST_P(StoreSuite, the_space_left_is_unknown_or_some) {
    const auto left = store().bytes_free();
    if (left) {
        EXPECT_GT(*left, 0U);
    }
}

}  // namespace holdfast
