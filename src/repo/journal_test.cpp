#include "repo/journal.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "repo/names.h"
#include "repo/segment_pack.h"
#include "testing/small_repository.h"

namespace holdfast::repo {
namespace {

using testing_support::noise;
using testing_support::SmallRepository;

Moment at(std::uint64_t number) { return {{"line", number}, static_cast<Nanoseconds>(number) * one_second}; }

class JournalTest : public testing::Test {
protected:
    SmallRepository world_;
    TemporaryFolder client_;
    std::unique_ptr<Repository> repository_ = world_.open(client_.path());

    // A lane with these segments, number i reaching at(first + i).
    void write_lane(std::uint64_t first, std::uint64_t count, bool continues, bool end = true) {
        JournalWriter writer(*repository_, "orders");
        writer.begin({.continues = continues, .at = at(first), .why = continues ? "" : "because"});
        for (std::uint64_t i = 1; i <= count; ++i) {
            const std::string text = fmt::format("record {}\n", first + i);
            writer.append({as_bytes(text), at(first + i), 1, false});
        }
        if (end) writer.end();
    }
    Journal read() {
        Journal journal(*repository_, "orders");
        journal.read();
        return journal;
    }
    std::string content(Journal& journal) {
        std::string out;
        const std::vector<Segment> all = journal.segments();
        for (const Segment& segment : all)
            journal.read_content(segment, [&](ByteView bytes) { out += as_text(bytes); });
        return out;
    }
    std::unique_ptr<Repository> open_as(const NewKey& key) {
        const Unlock unlock = testing_support::test_key("the key of " + key.label + std::string(32, '.'));
        repository_->add_key(unlock, key);
        return Repository::open(std::make_unique<StoreDecorator>(world_.store), unlock, {}, world_.sim.world());
    }
    Segment segment_in(const std::string& object) {
        const Bytes bytes = *world_.store.read(object);
        const std::uint32_t head = head_bytes_of(bytes, object);
        Segment out = decode_head(repository_->keys(), ByteView(bytes).subspan(4, head), object);
        out.object = object;
        return out;
    }
    // What one adds whose key is for another source.
    void add_as_thief(std::uint64_t number) {
        const auto thief = open_as({"thief", Role::writer, {"uploads"}});
        JournalWriter writer(*thief, "orders");
        writer.begin({.continues = false, .at = at(number), .take_over = true});
        writer.append({as_bytes("forged\n"), at(number + 1), 1, false});
        writer.end();
    }
    // As of single segments, whoever may do that.
    std::string put_pack(Repository& by, std::vector<Segment> rows) {
        Bytes segments;
        for (Segment& row : rows) {
            row.offset = segments.size();
            append(segments, *world_.store.read(row.object));
        }
        const Bytes table = encode_segment_table(by.keys(), rows, world_.sim.random);
        Bytes out;
        ByteWriter writer(out);
        writer.u32(static_cast<std::uint32_t>(table.size()));
        writer.raw(table);
        writer.raw(segments);
        const Segment& first = rows.front();
        const std::string object = names::segment_pack(first.source_tag, first.lane, first.number, rows.back().number);
        world_.store.create(object, out);
        return object;
    }
    std::string object_of(std::uint32_t lane, std::uint64_t number) {
        return names::segment(source_tag(repository_->keys(), "orders"), lane, number);
    }
};

TEST_F(JournalTest, is_empty_before_anybody_wrote) {
    Journal journal = read();
    EXPECT_TRUE(journal.segments().empty());
    EXPECT_TRUE(journal.runs().empty());
    EXPECT_TRUE(list_journals(*repository_).empty());
    EXPECT_FALSE(JournalWriter(*repository_, "orders").last());
}

TEST_F(JournalTest, gives_back_what_was_appended_in_one_unbroken_run) {
    write_lane(100, 5, false);
    Journal journal = read();
    ASSERT_EQ(journal.runs().size(), 1U);
    EXPECT_EQ(journal.runs()[0].from, at(100));
    EXPECT_EQ(journal.runs()[0].to, at(105));
    EXPECT_EQ(journal.runs()[0].why, "because");
    EXPECT_EQ(journal.runs()[0].records, 5U);
    EXPECT_EQ(content(journal), "record 101\nrecord 102\nrecord 103\nrecord 104\nrecord 105\n");
    EXPECT_EQ(list_journals(*repository_).size(), 1U);
}

TEST_F(JournalTest, large_pieces_come_back_whole) {
    const std::string large = noise(7, 9'000'000);
    JournalWriter writer(*repository_, "orders");
    writer.begin({.continues = false, .at = at(1)});
    writer.append({as_bytes(large), at(2), 1, false});
    Journal journal = read();
    EXPECT_TRUE(content(journal) == large);
}

TEST_F(JournalTest, goes_on_in_the_lane_of_the_next_process) {
    write_lane(100, 3, false);
    write_lane(103, 2, true);
    Journal journal = read();
    ASSERT_EQ(journal.runs().size(), 1U);
    EXPECT_EQ(journal.runs()[0].to, at(105));
    EXPECT_EQ(journal.segments().back().lane, 1U);
}

TEST_F(JournalTest, begins_a_new_run_where_nothing_leads_on) {
    write_lane(100, 3, false);
    write_lane(200, 2, false);
    const auto runs = read().runs();
    ASSERT_EQ(runs.size(), 2U);
    EXPECT_EQ(runs[0].to, at(103));
    EXPECT_EQ(runs[1].from, at(200));
}

TEST_F(JournalTest, refuses_a_second_process_of_this_machine_until_the_first_is_gone) {
    auto first = std::make_unique<JournalWriter>(*repository_, "orders");
    first->begin({.continues = false, .at = at(1)});
    JournalWriter second(*repository_, "orders");
    try {
        second.begin({.continues = true, .at = at(1)});
        FAIL() << "two processes follow one source";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::busy);
    }
    first.reset();  // as when it was killed: its lane is not ended
    JournalWriter third(*repository_, "orders");
    third.begin({.continues = true, .at = *third.last()});
    EXPECT_EQ(read().runs().size(), 1U);
}

TEST_F(JournalTest, refuses_for_a_while_when_the_other_machine_may_be_alive) {
    write_lane(100, 3, false, false);
    const auto elsewhere = world_.open();  // keeps no locks: as from another machine
    const auto begin = [&] {
        JournalWriter writer(*elsewhere, "orders");
        writer.begin({.continues = true, .at = *writer.last()});
    };
    // The lock of the first was released with its object, but only this machine can know.
    EXPECT_THROW(begin(), Error);
    world_.sim.clock.advance(200 * one_second);
    EXPECT_NO_THROW(begin());
}

TEST_F(JournalTest, fences_the_one_that_was_taken_over) {
    JournalWriter first(*repository_, "orders");
    first.begin({.continues = false, .at = at(1)});
    first.append({as_bytes("a"), at(2), 1, false});
    JournalWriter second(*repository_, "orders");
    second.begin({.continues = true, .at = at(2), .take_over = true});
    try {
        first.append({as_bytes("b"), at(3), 1, false});
        FAIL() << "both write";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::fenced);
    }
    second.append({as_bytes("B"), at(3), 1, false});
    Journal journal = read();
    EXPECT_EQ(content(journal), "aB");
    EXPECT_EQ(journal.runs().size(), 1U);
}

TEST_F(JournalTest, a_missing_segment_breaks_the_run) {
    write_lane(100, 6, false);
    world_.store.remove(object_of(0, 3));
    const auto runs = read().runs();
    ASSERT_EQ(runs.size(), 2U);
    EXPECT_EQ(runs[0].to, at(102));
    EXPECT_EQ(runs[1].from, at(103));
    EXPECT_EQ(runs[1].why, "segments are missing");
}

TEST_F(JournalTest, a_segment_in_the_place_of_another_is_damage) {
    write_lane(100, 6, false);
    world_.store.overwrite(object_of(0, 3), *world_.store.read(object_of(0, 4)));
    Journal journal = read();
    ASSERT_EQ(journal.damage().size(), 1U);
    EXPECT_EQ(journal.damage()[0].object, object_of(0, 3));
    EXPECT_EQ(journal.runs().size(), 2U);
}

TEST_F(JournalTest, every_flipped_byte_is_found_in_head_or_content) {
    write_lane(100, 1, false);
    const std::string object = object_of(0, 1);
    const std::size_t bytes = world_.store.read(object)->size();
    for (std::size_t i = 0; i < bytes; i += 7) {
        world_.flip(object, i);
        Journal journal = read();
        bool found = !journal.damage().empty();
        if (!found) {
            try {
                content(journal);
            } catch (const Error& error) {
                found = error.code() == Code::corrupt;
            }
        }
        EXPECT_TRUE(found) << "byte " << i;
        world_.flip(object, i);
    }
    Journal whole = read();
    EXPECT_EQ(content(whole), "record 101\n");
}

TEST_F(JournalTest, a_new_run_begins_when_the_end_cannot_be_read) {
    write_lane(100, 4, false, false);
    world_.flip(object_of(0, 4), 60);
    JournalWriter writer(*repository_, "orders");
    EXPECT_FALSE(writer.last()) << "nobody knows how far it went";
    writer.begin({.continues = false, .at = at(110), .why = "its end was damaged", .take_over = true});
    writer.append({as_bytes("x"), at(111), 1, false});
    const auto runs = read().runs();
    ASSERT_EQ(runs.size(), 2U);
    EXPECT_EQ(runs[0].to, at(103));
    EXPECT_EQ(runs[1].to, at(111));
}

TEST_F(JournalTest, compaction_keeps_every_byte_and_the_last_of_each_lane) {
    write_lane(100, 40, false);
    write_lane(140, 40, true, false);
    Journal before = read();
    const std::string all = content(before);
    world_.sim.clock.advance(2 * 3600 * one_second);
    const Compacted done = compact_journal(*repository_, before, {});
    EXPECT_EQ(done.packs, 2U);
    EXPECT_EQ(content(before), all) << "who began to read before goes on";
    Journal after = read();
    EXPECT_EQ(content(after), all);
    EXPECT_EQ(after.runs().size(), 1U);
    EXPECT_EQ(after.segments().size(), before.segments().size());
    EXPECT_TRUE(world_.store.read(object_of(0, 41)));
    EXPECT_TRUE(world_.store.read(object_of(1, 40)));
    EXPECT_FALSE(world_.store.read(object_of(1, 39)));
    // The writer goes on.
    JournalWriter next(*repository_, "orders");
    EXPECT_EQ(*next.last(), at(180));
}

TEST_F(JournalTest, compaction_that_died_half_way_is_finished_by_the_next) {
    write_lane(100, 40, false);
    world_.sim.clock.advance(2 * 3600 * one_second);
    const auto objects = world_.store.objects();
    Journal before = read();
    compact_journal(*repository_, before, {});
    for (const auto& [name, object] : objects)  // as if nothing had been removed
        if (!world_.store.read(name)) world_.store.create(name, *object.bytes);
    Journal between = read();
    EXPECT_GT(between.superseded().size(), 30U);
    compact_journal(*repository_, between, {});
    Journal after = read();
    EXPECT_TRUE(after.superseded().empty());
    EXPECT_EQ(content(after), content(between));
}

TEST_F(JournalTest, compaction_refuses_what_is_damaged) {
    write_lane(100, 40, false);
    world_.sim.clock.advance(2 * 3600 * one_second);
    const std::string object = object_of(0, 5);
    world_.flip(object, world_.store.read(object)->size() - 3);
    const Journal before = read();
    EXPECT_THROW(compact_journal(*repository_, before, {}), Error);
    EXPECT_TRUE(world_.store.read(object)) << "nothing is removed";
}

TEST_F(JournalTest, compaction_leaves_alone_what_another_one_is_at) {
    write_lane(100, 40, false);
    world_.sim.clock.advance(2 * 3600 * one_second);
    const Journal before = read();
    world_.store.remove(object_of(0, 5));
    const auto objects = world_.store.objects().size();
    EXPECT_EQ(compact_journal(*repository_, before, {}).packs, 0U);
    EXPECT_EQ(world_.store.objects().size(), objects);
}

TEST_F(JournalTest, a_pack_by_one_who_may_not_make_it_is_passed_over_and_stops_nothing) {
    write_lane(100, 40, false);
    world_.sim.clock.advance(2 * 3600 * one_second);
    Journal before = read();
    const std::string all = content(before);
    const auto writer = open_as({"writer", Role::writer});
    const std::string object =
        put_pack(*writer, {before.segments().begin(), before.segments().end() - 1});  // the name that compaction takes
    Journal between = read();
    EXPECT_TRUE(between.damage().empty());
    EXPECT_TRUE(between.superseded().empty());
    EXPECT_EQ(content(between), all);
    EXPECT_TRUE(world_.sim.log.contains(object + " is passed over"));
    EXPECT_EQ(compact_journal(*repository_, between, {}).segments, 40U);
    EXPECT_TRUE(world_.store.read(object)) << "only a collector's objects are packs";
    Journal after = read();
    EXPECT_TRUE(after.damage().empty());
    EXPECT_EQ(after.runs().size(), 1U);
    EXPECT_EQ(content(after), all);
    EXPECT_FALSE(world_.store.read(object_of(0, 5)));
}

TEST_F(JournalTest, a_key_that_is_for_other_sources_cannot_write_it) {
    write_lane(100, 3, false);
    add_as_thief(103);
    Journal journal = read();
    EXPECT_EQ(content(journal), "record 101\nrecord 102\nrecord 103\n");
    std::set<std::string> refused;
    for (const Journal::Damage& each : journal.damage()) refused.insert(each.object);
    ASSERT_EQ(refused, (std::set<std::string>{object_of(1, 0), object_of(1, 1), object_of(1, 2)}));
    EXPECT_NE(journal.damage()[0].why.message().find("who may not back up orders"), std::string::npos);
    EXPECT_FALSE(JournalWriter(*repository_, "orders").last()) << "a new run begins, as nobody knows what led there";
    write_lane(110, 2, false);
    Journal after = read();
    EXPECT_EQ(after.runs().back().to, at(112));
    EXPECT_EQ(content(after).find("forged"), std::string::npos);
}

// As earlier versions put them together, which did not ask who wrote them.
TEST_F(JournalTest, what_another_sources_key_wrote_is_refused_in_a_pack_and_the_rest_of_it_is_there) {
    write_lane(100, 3, false);
    write_lane(103, 3, true);
    add_as_thief(106);
    const Segment forged = segment_in(object_of(2, 1));
    std::vector<Segment> rows;
    for (const std::uint64_t number : {0U, 1U, 2U}) rows.push_back(segment_in(object_of(1, number)));
    rows[1].author = forged.author;
    const std::string pack = put_pack(*repository_, rows);
    for (const Segment& row : rows) world_.store.remove(row.object);
    Journal journal = read();
    ASSERT_FALSE(journal.damage().empty());
    EXPECT_EQ(journal.damage()[0].object, pack);
    EXPECT_EQ(content(journal), "record 101\nrecord 102\nrecord 103\nrecord 105\nrecord 106\n");
    Journal again = read();
    again.read();
    EXPECT_EQ(again.damage()[0].object, pack) << "it is told each time";
}

TEST_F(JournalTest, a_table_that_names_another_author_gives_no_content) {
    add_as_thief(100);
    std::vector<Segment> rows;
    for (const std::uint64_t number : {0U, 1U}) rows.push_back(segment_in(object_of(0, number)));
    for (Segment& row : rows) row.author = repository_->keys().own_id();
    put_pack(*repository_, rows);
    for (const Segment& row : rows) world_.store.remove(row.object);
    Journal journal = read();
    ASSERT_EQ(journal.segments().size(), 2U);
    try {
        content(journal);
        FAIL() << "what a key for other sources wrote was read";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::corrupt);
    }
}

TEST_F(JournalTest, expiry_removes_what_is_not_kept_and_never_the_newest) {
    write_lane(100, 5, false);
    write_lane(200, 5, false);
    const Journal before = read();
    std::vector<bool> keep(before.segments().size(), false);
    EXPECT_GT(expire_journal(*repository_, before, keep), 0U);
    const Journal after = read();
    ASSERT_EQ(after.segments().size(), 1U);
    JournalWriter writer(*repository_, "orders");
    EXPECT_EQ(*writer.last(), at(205));
}

TEST_F(JournalTest, says_nothing_of_the_source_to_the_store) {
    write_lane(100, 3, false);
    for (const auto& [name, object] : world_.store.objects()) {
        EXPECT_EQ(name.find("orders"), std::string::npos);
        EXPECT_EQ(as_text(*object.bytes).find("orders"), std::string::npos) << name;
    }
}

}  // namespace
}  // namespace holdfast::repo
