#include "sources/redis/rdb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "sources/redis/blobs.h"
#include "sources/redis/counts.h"
#include "sources/redis/crc64.h"

namespace holdfast::redis {
namespace {

using ::testing::HasSubstr;

RdbInput::Read reading(const Bytes& bytes, std::size_t most = ~std::size_t{0}) {
    return [left = ByteView(bytes), most](MutableByteView into) mutable {
        const std::size_t some = std::min({into.size(), left.size(), most});
        if (some > 0) std::memcpy(into.data(), left.data(), some);
        left = left.subspan(some);
        return some;
    };
}

Bytes text(std::string_view value) {
    Bytes out;
    append_length(out, value.size());
    append(out, as_bytes(value));
    return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
    append(a, b);
    return a;
}

Bytes raw(std::initializer_list<int> bytes) {
    Bytes out;
    for (const int byte : bytes) out.push_back(static_cast<std::uint8_t>(byte));
    return out;
}

Bytes blob(const Bytes& bytes) { return text(as_text(bytes)); }

// A file with one key in database 0.
Bytes file_with(int version, std::uint8_t type, const Bytes& value, std::int64_t expiry = no_expiry) {
    Bytes out;
    RdbWriter writer([&](ByteView bytes) { append(out, bytes); });
    writer.begin(version);
    writer.begin_key({0, "key", expiry, type});
    writer.value(value);
    writer.end();
    return out;
}

std::string digest(const Bytes& file) {
    RdbCounts counts;
    RdbInput in(reading(file));
    read_rdb(in, counts);
    return counts.facts().value("0", "digest").value_or("none");
}

std::string message_of(const Bytes& file) {
    try {
        digest(file);
    } catch (const Error& error) {
        return error.message();
    }
    return "";
}

Bytes zipmap_of_a1_b2() { return raw({2, 1, 'a', 1, 0, '1', 1, 'b', 2, 1, '2', '2', 0, 255}); }

Bytes ziplist(const std::vector<Bytes>& entries) {
    Bytes body;
    for (const Bytes& each : entries) append(body, each);
    Bytes out;
    ByteWriter writer(out);
    writer.u32(static_cast<std::uint32_t>(11 + body.size()));
    writer.u32(0);
    writer.u16(static_cast<std::uint16_t>(entries.size()));
    writer.raw(body);
    writer.u8(255);
    return out;
}

TEST(Crc64, HasTheValueOfItsDefinition) { EXPECT_EQ(crc64(0, as_bytes("123456789")), 0xe9c6d914c4b8d9caULL); }

TEST(Crc64, IsTheSameInOnePieceAndByteByByte) {
    Bytes bytes;
    for (std::uint32_t i = 0, x = 1; i < 1200; ++i)
        bytes.push_back(static_cast<std::uint8_t>((x = x * 1664525 + 1) >> 24));
    for (std::size_t begin = 0; begin < 3; ++begin) {
        std::uint64_t slow = 0;
        for (std::size_t end = begin; end <= bytes.size(); ++end) {
            ASSERT_EQ(crc64(0, ByteView(bytes).subspan(begin, end - begin)), slow) << begin << " " << end;
            if (end < bytes.size()) slow = crc64(slow, ByteView(bytes).subspan(end, 1));
        }
    }
    const std::uint64_t begun = crc64(0, ByteView(bytes).first(7));
    EXPECT_EQ(crc64(begun, ByteView(bytes).subspan(7)), crc64(0, bytes));
}

TEST(Rdb, AStringIsDecodedAsAWholeOrNotAtAll) {
    const auto decoded = [](const Bytes& raw, std::size_t most = 1000) -> std::string {
        Bytes out;
        return decode_string(raw, most, out) ? std::string(as_text(out)) : "none";
    };
    for (const std::size_t length : {0U, 1U, 63U, 64U, 700U})
        EXPECT_EQ(decoded(text(std::string(length, 'x'))), std::string(length, 'x'));
    EXPECT_EQ(decoded(raw({0x80, 0, 0, 0, 2, 'a', 'b'})), "ab");
    EXPECT_EQ(decoded(raw({0xc0, 0xff})), "-1");
    EXPECT_EQ(decoded(raw({0xc1, 0x39, 0x30})), "12345");
    EXPECT_EQ(decoded(raw({0xc2, 0, 0, 0, 0x80})), "-2147483648");
    EXPECT_EQ(decoded(raw({0xc3, 5, 10, 0, 'a', 0xe0, 0, 0})), "aaaaaaaaaa");
    EXPECT_EQ(decoded(raw({0xc3, 9, 12, 1, 'a', 'b', 0x40, 1, 0x60, 0, 0, 'c'})), "abababbbbbbc");
    // Cut off, too long, with something behind it, damaged, or none.
    for (const Bytes& each :
         {raw({}), raw({3, 'a', 'b'}), raw({1, 'a', 'b'}), raw({0x40}), raw({0x80, 0, 0}), raw({0x81}), raw({0xc1, 1}),
          raw({0xc0, 1, 2}), raw({0xc3}), raw({0xc3, 5, 10, 0, 'a', 0xe0, 0}), raw({0xc3, 5, 11, 0, 'a', 0xe0, 0, 0}),
          raw({0xc3, 5, 9, 0, 'a', 0xe0, 0, 0}), raw({0xc3, 5, 10, 0, 'a', 0xe0, 0, 1}), raw({0xc4, 1}), raw({0xff})})
        EXPECT_EQ(decoded(each), "none");
    EXPECT_EQ(decoded(text(std::string(1001, 'x'))), "none");
    EXPECT_EQ(decoded(raw({0xc3, 5, 10, 0, 'a', 0xe0, 0, 0}), 9), "none");
}

TEST(Rdb, ACompressedStringIsSaidUnpackedWhenItIsTheWholeValue) {
    struct Sink final : RdbSink {
        void end_key(const RdbKey&, const Value& value) override {
            unpacked = value.unpacked ? std::string(as_text(*value.unpacked)) : "none";
        }
        std::string unpacked;
    } sink;
    const auto read = [&](std::uint8_t type, const Bytes& value, std::size_t most) {
        const Bytes file = file_with(11, type, value);
        RdbInput in(reading(file, most));
        read_rdb(in, sink);
        return sink.unpacked;
    };
    const Bytes packed = raw({0xc3, 5, 10, 0, 'a', 0xe0, 0, 0});
    const std::string plain(10, 'a');
    // However it comes, or what a capture finds changed would depend on that.
    for (const std::size_t most : {std::size_t{1}, std::size_t{7}, ~std::size_t{0}}) {
        EXPECT_EQ(read(0, packed, most), plain);
        EXPECT_EQ(read(0, text("plain"), most), "none");
        EXPECT_EQ(read(4, raw({1}) + packed + packed, most), "none");
    }
}

TEST(Rdb, WhatIsWrittenIsReadAgain) {
    const Bytes file = file_with(11, rdb_type_string, text("value"), 1700000000000);
    struct Sink final : RdbSink {
        void version(int number) override { EXPECT_EQ(number, 11); }
        void value(ByteView bytes) override { append(raw_value, bytes); }
        void end_key(const RdbKey& key, const Value& value) override {
            EXPECT_EQ(key.name, "key");
            EXPECT_EQ(key.expiry_ms, 1700000000000);
            EXPECT_EQ(value.kind, ValueClass::string);
        }
        Bytes raw_value;
    } sink;
    RdbInput in(reading(file, 1));
    EXPECT_TRUE(read_rdb(in, sink).has_checksum);
    EXPECT_TRUE(in.at_end());
    EXPECT_EQ(sink.raw_value, text("value"));
}

TEST(Rdb, EqualValuesHaveOneDigestInWhateverEncoding) {
    const Bytes listpack = make_listpack({"a", "1", "b", "22"});
    const Bytes plain = raw({2}) + text("b") + raw({0xc0, 22}) + text("a") + text("1");
    const std::string expected = digest(file_with(9, 4, plain));
    EXPECT_EQ(digest(file_with(10, 16, blob(listpack))), expected);
    EXPECT_EQ(digest(file_with(2, 9, blob(zipmap_of_a1_b2()))), expected);
    const Bytes zip = ziplist({raw({0, 1, 'a'}), raw({3, 0xf2}), raw({3, 1, 'b'}), raw({3, 0xfe, 22})});
    EXPECT_EQ(digest(file_with(9, 13, blob(zip))), expected);
    EXPECT_NE(digest(file_with(9, 4, raw({1}) + text("a") + text("1"))), expected);

    const std::string ints = digest(file_with(9, 2, raw({2}) + text("-2") + text("7")));
    EXPECT_EQ(digest(file_with(9, 11, blob(raw({2, 0, 0, 0, 2, 0, 0, 0, 0xfe, 0xff, 7, 0})))), ints);
    EXPECT_EQ(digest(file_with(11, 20, blob(make_listpack({"7", "-2"})))), ints);

    const std::string list = digest(file_with(9, 1, raw({2}) + text("x") + text("y")));
    EXPECT_EQ(digest(file_with(10, 18, raw({2, 1}) + text("x") + raw({2}) + blob(make_listpack({"y"})))), list);
    EXPECT_EQ(digest(file_with(9, 14, raw({1}) + blob(ziplist({raw({0, 1, 'x'}), raw({3, 1, 'y'})})))), list);
    EXPECT_NE(digest(file_with(9, 1, raw({2}) + text("y") + text("x"))), list);

    Bytes binary = raw({1}) + text("m");
    ByteWriter(binary).u64(0x3ff8000000000000ULL);  // 1.5
    EXPECT_EQ(digest(file_with(9, 5, binary)), digest(file_with(9, 3, raw({1}) + text("m") + raw({3, '1', '.', '5'}))));
    EXPECT_EQ(digest(file_with(9, 5, binary)), digest(file_with(10, 17, blob(make_listpack({"m", "1.5"})))));
}

TEST(Rdb, OldAndWideFormsMeanTheSame) {
    const std::string list = digest(file_with(9, 1, raw({2}) + text("x") + text("y")));
    EXPECT_EQ(digest(file_with(6, 10, blob(ziplist({raw({0, 1, 'x'}), raw({3, 1, 'y'})})))), list);

    const std::string zset = digest(file_with(9, 3, raw({1}) + text("m") + raw({3, '1', '.', '5'})));
    EXPECT_EQ(digest(file_with(6, 12, blob(ziplist({raw({0, 1, 'm'}), raw({3, 3, '1', '.', '5'})})))), zset);

    const auto intset = [](unsigned width, const std::vector<std::int64_t>& members) {
        Bytes out;
        ByteWriter writer(out);
        writer.u32(width);
        writer.u32(static_cast<std::uint32_t>(members.size()));
        for (const std::int64_t member : members)
            for (unsigned i = 0; i < width; ++i)
                writer.u8(static_cast<std::uint8_t>(static_cast<std::uint64_t>(member) >> (8 * i)));
        return blob(out);
    };
    const auto set = [](const std::vector<std::int64_t>& members) {
        Bytes out = raw({static_cast<int>(members.size())});
        for (const std::int64_t member : members) append(out, text(std::to_string(member)));
        return digest(file_with(9, 2, out));
    };
    EXPECT_EQ(digest(file_with(9, 11, intset(4, {-70000, 2000000000}))), set({-70000, 2000000000}));
    EXPECT_EQ(digest(file_with(9, 11, intset(8, {INT64_MIN, INT64_MAX}))), set({INT64_MIN, INT64_MAX}));
}

// With an entry, a group, and a consumer that has the entry; later forms know more of them.
Bytes stream_of_type(int type) {
    const Bytes id = raw({0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1});
    const Bytes time(8, 1);
    Bytes out = raw({1}) + blob(id) + blob(make_listpack({"1", "0", "1", "f", "0", "2", "0", "0", "v", "4"}));
    append(out, raw({1, 5, 1}));                          // length, last id
    if (type >= 19) append(out, raw({5, 1, 3, 2, 9}));    // first id, greatest deleted id, entries added
    append(out, raw({1}) + text("group") + raw({5, 1}));  // groups
    if (type >= 19) append(out, raw({1}));                // entries read
    append(out, raw({1}) + id + time + raw({3}));         // pending: delivered three times
    append(out, raw({1}) + text("consumer") + time);      // seen
    if (type >= 21) append(out, time);                    // active
    return out + raw({1}) + id;
}

TEST(Rdb, StreamsOfAllFormsMeanTheSame) {
    const std::string first = digest(file_with(9, 15, stream_of_type(15)));
    EXPECT_NE(first, "none");
    EXPECT_EQ(digest(file_with(10, 19, stream_of_type(19))), first);
    EXPECT_EQ(digest(file_with(11, 21, stream_of_type(21))), first);
    EXPECT_NE(message_of(file_with(11, 19, stream_of_type(15))), "");
}

// Keeps what comes between types and keys as it stands.
struct Raws final : RdbSink {
    void function(ByteView bytes) override { functions.push_back(to_bytes(bytes)); }
    void module_aux(ByteView bytes) override { aux_of_modules.push_back(to_bytes(bytes)); }
    void value(ByteView bytes) override { append(values, bytes); }
    void end_key(const RdbKey&, const Value& value) override { kinds.push_back(value.kind); }
    std::vector<Bytes> functions, aux_of_modules;
    std::vector<ValueClass> kinds;
    Bytes values;
};

TEST(Rdb, WhatBelongsToModulesAndFunctionsIsKeptByteForByte) {
    const Bytes id = raw({0x81, 1, 2, 3, 4, 5, 6, 7, 8});
    const Bytes fields = raw({1, 7}) + raw({2, 0x40, 100}) + raw({3, 0, 0, 0x80, 0x3f}) +
                         raw({4, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f}) + raw({5}) + text("of a module") + raw({0});
    const Bytes aux = id + raw({2, 1}) + raw({5}) + text("beside keys") + raw({0});
    const Bytes function = text("#!lua name=lib\nreturn");
    Bytes file;
    RdbWriter writer([&](ByteView bytes) { append(file, bytes); });
    writer.begin(11);
    writer.function(function);
    writer.module_aux(aux);
    writer.begin_key({0, "key", no_expiry, rdb_type_module2});
    writer.value(id + fields);
    writer.module_aux(aux);
    writer.begin_key({3, "other", no_expiry, rdb_type_string});
    writer.value(text("x"));
    writer.end();
    for (const std::size_t piece : {std::size_t{1}, file.size()}) {
        Raws found;
        RdbInput in(reading(file, piece));
        read_rdb(in, found);
        EXPECT_THAT(found.functions, ::testing::ElementsAre(function));
        EXPECT_THAT(found.aux_of_modules, ::testing::ElementsAre(aux, aux));
        EXPECT_THAT(found.kinds, ::testing::ElementsAre(ValueClass::module, ValueClass::string));
        EXPECT_EQ(found.values, id + fields + text("x"));
    }
    RdbCounts counts;
    RdbInput in(reading(file));
    read_rdb(in, counts);
    EXPECT_EQ(counts.opaque(), 1U);
    EXPECT_THAT(message_of(file_with(11, rdb_type_module2, id + raw({9}))), HasSubstr("module"));
}

TEST(Rdb, CompressedStringsAreReadAsTheyWere) {
    // "aaaaaaaaaa…" of 40: a literal, then two references back.
    const Bytes packed = raw({0, 'a', 0xe0, 30 - 9 + 7, 0});
    const Bytes value = raw({0xc3}) + raw({static_cast<int>(packed.size()), 38}) + packed;
    EXPECT_EQ(digest(file_with(9, 0, value)), digest(file_with(9, 0, text(std::string(38, 'a')))));
    const Bytes wrong = raw({0xc3}) + raw({static_cast<int>(packed.size()), 39}) + packed;
    EXPECT_THAT(message_of(file_with(9, 0, wrong)), HasSubstr("damaged"));
}

TEST(Rdb, DamageIsSeen) {
    const Bytes file = file_with(11, rdb_type_string, text("a value of some length"));
    for (std::size_t cut = 0; cut < file.size(); ++cut) {
        const Bytes part(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(cut));
        EXPECT_THAT(message_of(part), HasSubstr("RDB data")) << cut;
    }
    for (std::size_t at = 0; at < file.size(); ++at) {
        Bytes flipped = file;
        flipped[at] ^= 0x10;
        EXPECT_NE(message_of(flipped), "") << at;
    }
}

TEST(Rdb, NewerVersionsAndTypesAreRefused) {
    EXPECT_THAT(message_of(file_with(12, 0, text("x"))), HasSubstr("version 12"));
    EXPECT_THAT(message_of(file_with(11, 24, text("x"))), HasSubstr("24"));
}

TEST(Rdb, AClaimOfLengthDoesNotAskForAllMemory) {
    EXPECT_THAT(message_of(file_with(11, 0, raw({0x81, 0, 0, 0, 0x10, 0, 0, 0, 0}))), HasSubstr("ends in the middle"));
    EXPECT_NE(message_of(file_with(11, 16, raw({0x81, 0, 0, 0, 0x10, 0, 0, 0, 0}))), "");
}

TEST(Digest, DoesNotDependOnThePieces) {
    std::string bytes;
    for (int i = 0; i < 100; ++i) bytes += static_cast<char>(i);
    Hash128 whole;
    whole.add(bytes);
    for (std::size_t step = 1; step < 40; ++step) {
        Hash128 hash;
        for (std::size_t at = 0; at < bytes.size(); at += step) hash.add(std::string_view(bytes).substr(at, step));
        EXPECT_EQ(hash.value(), whole.value());
    }
}

}  // namespace
}  // namespace holdfast::redis
