#include "repo/pack.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "repo/chunk_reader.h"
#include "repo/session.h"
#include "testing/faulty_store.h"
#include "testing/small_repository.h"

namespace holdfast::repo {
namespace {

class Pack : public testing::Test {
protected:
    testing_support::SmallRepository world_;
    std::unique_ptr<Repository> repository_ = world_.open();
    const Keyring& keys_ = repository_->keys();

    Bytes make(const std::vector<std::string>& chunks, std::vector<ChunkPlace>& places,
               PackKind kind = PackKind::data) {
        SectionBuilder section(keys_, kind, world_.sim.random);
        for (const std::string& chunk : chunks)
            section.add(data_id(keys_.domain().chunk_id, as_bytes(chunk)), {}, as_bytes(chunk));
        Bytes pack;
        section.finish(pack, places);
        seal_pack(pack);
        return pack;
    }
    std::vector<std::string> read(const Bytes& pack) {
        std::vector<std::string> out;
        std::optional<SectionOpener> opener;
        std::uint32_t at = UINT32_MAX;
        scan_pack(pack, "pack", [&](const SectionPlace& section, const ChunkRecord& record, std::uint32_t offset) {
            if (at != section.offset) opener.emplace(keys_, section.header, "pack");
            at = section.offset;
            Bytes plain;
            opener->open(record, Part::content,
                         ByteView(pack).subspan(offset + ChunkRecord::bytes, record.sealed_content), plain, "pack");
            out.emplace_back(as_text(plain));
        });
        return out;
    }
    std::vector<PackContents> store_twice(Repository& repository, const std::string& chunk) {
        std::vector<PackContents> packs;
        for (int i = 0; i < 2; ++i) {
            std::vector<ChunkPlace> places;
            const Bytes pack = make({chunk}, places);
            packs.push_back({{PackKind::data, PackId{crypto::sha256(pack)}}, pack.size(), places});
            world_.store.create(packs.back().pack.object(), pack);
        }
        const EncodedFragment fragment = encode_fragment(keys_, packs, world_.sim.random);
        world_.store.create("index/" + fragment.body.id.hex(), fragment.bytes);
        repository.index().load({{keys_.own_id(), fragment.body}});
        return packs;
    }
};

TEST_F(Pack, gives_back_what_was_put_in) {
    std::vector<ChunkPlace> places;
    const std::vector<std::string> chunks{"", "short", std::string(100000, 'z'), std::string(3, '\0')};
    const Bytes pack = make(chunks, places);
    EXPECT_EQ(read(pack), chunks);
    ASSERT_EQ(places.size(), chunks.size());
    EXPECT_EQ(parse_record(ByteView(pack).subspan(places[2].offset), "p").id, places[2].id);
    EXPECT_EQ(pack.size() % 512, 0U);
}

TEST_F(Pack, sections_of_several_threads_share_a_pack) {
    std::vector<ChunkPlace> places;
    Bytes pack;
    for (const char* text : {"one", "two"}) {
        SectionBuilder section(keys_, PackKind::data, world_.sim.random);
        section.add(data_id(keys_.domain().chunk_id, as_bytes(text)), {}, as_bytes(text));
        section.finish(pack, places);
    }
    seal_pack(pack);
    EXPECT_EQ(read(pack), (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(parse_record(ByteView(pack).subspan(places[1].offset), "p").id,
              data_id(keys_.domain().chunk_id, as_bytes("two")));
}

TEST_F(Pack, every_flipped_bit_is_refused) {
    std::vector<ChunkPlace> places;
    const std::vector<std::string> chunks{"alpha", std::string(300, 'b')};
    const Bytes pack = make(chunks, places);
    for (std::size_t bit = 0; bit < pack.size() * 8; bit += 3) {
        Bytes damaged = pack;
        damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        try {
            // What still parses and opens must be the same bytes: only unused key slots may be touched unseen.
            EXPECT_EQ(read(damaged), chunks) << bit;
        } catch (const Error& error) {
            EXPECT_TRUE(error.code() == Code::corrupt || error.code() == Code::denied) << error.message();
        }
    }
}

TEST_F(Pack, a_section_may_be_moved_verbatim) {
    std::vector<ChunkPlace> places;
    Bytes first = make({"first"}, places);
    const Bytes second = make({"second"}, places);
    const SectionHeader header = parse_section(second, "p");
    const SectionHeader before = parse_section(first, "p");
    Bytes moved(first.begin(), first.begin() + before.bytes);
    moved.insert(moved.end(), second.begin(), second.begin() + header.bytes);
    seal_pack(moved);
    EXPECT_EQ(read(moved), (std::vector<std::string>{"first", "second"}));
}

TEST_F(Pack, nodes_have_two_parts_and_the_id_covers_both) {
    Session session(*repository_, Session::Mode::write);
    const ChunkId id = session.packs().add_node(as_bytes("reach"), as_bytes("content")).id;
    EXPECT_NE(id, session.packs().add_node(as_bytes("reac"), as_bytes("hcontent")).id);
    session.publish_and_close();
    const Node node = repository_->chunks().read_node(id);
    EXPECT_EQ(as_text(node.reachable), "reach");
    EXPECT_EQ(as_text(node.content), "content");
    EXPECT_EQ(as_text(repository_->chunks().read_reachable(id, repository_->index().find(id).at(0))), "reach");
}

TEST_F(Pack, a_sealer_that_lies_about_an_id_is_found_out) {
    // Sealed under the id of other bytes: AEAD opens it, the recomputed id does not match.
    SectionBuilder section(keys_, PackKind::data, world_.sim.random);
    const ChunkId claimed = data_id(keys_.domain().chunk_id, as_bytes("libssl"));
    section.add(claimed, {}, as_bytes("back door"));
    std::vector<ChunkPlace> places;
    Bytes pack;
    section.finish(pack, places);
    const PackContents contents{{PackKind::data, seal_pack(pack)}, pack.size(), places};
    world_.store.create(contents.pack.object(), pack);
    const EncodedFragment fragment = encode_fragment(keys_, std::span(&contents, 1), world_.sim.random);
    world_.store.create("index/" + fragment.body.id.hex(), fragment.bytes);
    repository_->index().load({{keys_.own_id(), fragment.body}});
    try {
        repository_->chunks().read(claimed);
        FAIL() << "the lie was believed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::corrupt);
    }
}

TEST_F(Pack, a_damaged_place_is_passed_over_for_a_whole_one) {
    const ChunkId id = data_id(keys_.domain().chunk_id, as_bytes("twice"));
    const std::vector<PackContents> packs = store_twice(*repository_, "twice");
    ASSERT_EQ(repository_->index().find(id).size(), 2U);
    for (const PackContents& pack : packs) {
        const auto whole = *world_.store.read(pack.pack.object());
        Bytes damaged = whole;
        for (std::size_t i = 300; i < damaged.size(); ++i) damaged[i] = 0x55;
        world_.store.overwrite(pack.pack.object(), damaged);
        EXPECT_EQ(as_text(repository_->chunks().read(id)), "twice");
        world_.store.overwrite(pack.pack.object(), whole);
    }
}

TEST_F(Pack, what_a_store_that_answers_cannot_read_is_damaged) {
    FaultyStore faulty(world_.store, world_.sim);
    const auto repository = world_.open_through(faulty);
    const std::vector<ChunkId> ids{data_id(keys_.domain().chunk_id, as_bytes("twice"))};
    const std::vector<PackContents> packs = store_twice(*repository, "twice");
    const auto expect_code = [&](Code code, const auto& call) {
        try {
            call();
            ADD_FAILURE() << "it was read";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.message();
        }
    };
    const auto read_run = [&](std::vector<Error>& failed) {
        std::vector<std::string> out;
        ChunkReader& chunks = repository->chunks();
        for (const ReadRun& run : chunks.plan(ids))
            chunks.read_run(
                run, ids, [&](std::size_t, ByteView plain) { out.emplace_back(as_text(plain)); },
                [&](std::size_t, const Error& error) { failed.push_back(error); });
        return out;
    };
    for (const PackContents& pack : packs) {
        std::vector<Error> failed;
        faulty.set_faults({.failed_before = 1, .prefix = pack.pack.object()});
        EXPECT_EQ(as_text(repository->chunks().read(ids[0])), "twice");
        EXPECT_EQ(read_run(failed), std::vector<std::string>{"twice"});
        EXPECT_TRUE(failed.empty());
        for (const Location& place : repository->index().find(ids[0]))
            if (place.pack == pack.pack)
                expect_code(Code::unreachable, [&] { repository->chunks().read_reachable(ids[0], place); });
    }
    std::vector<Error> failed;
    faulty.set_faults({.failed_before = 1, .prefix = "data/"});
    expect_code(Code::corrupt, [&] { repository->chunks().read(ids[0]); });
    EXPECT_TRUE(read_run(failed).empty());
    ASSERT_EQ(failed.size(), 1U);
    EXPECT_EQ(failed[0].code(), Code::corrupt);
    faulty.set_faults({.failed_before = 1});
    expect_code(Code::unreachable, [&] { repository->chunks().read(ids[0]); });
    expect_code(Code::unreachable, [&] { read_run(failed); });
}

TEST_F(Pack, what_was_fetched_ahead_wrongly_is_read_again) {
    Session session(*repository_, Session::Mode::write);
    std::vector<ChunkId> ids;
    for (const char* const text : {"one", "two", "three"}) ids.push_back(session.packs().add_state(as_bytes(text)).id);
    session.publish_and_close();
    const std::string object = repository_->index().find(ids[0]).at(0).pack.object();
    const Bytes whole = *world_.store.read(object);
    Bytes damaged = whole;
    for (std::size_t i = 300; i < damaged.size(); ++i) damaged[i] = 0x55;
    ChunkReader& chunks = repository_->chunks();
    world_.store.overwrite(object, damaged);
    EXPECT_EQ(chunks.fetch_ahead(ids), 3U);
    world_.store.overwrite(object, whole);
    EXPECT_EQ(as_text(chunks.read_state(ids[1])), "two");
    EXPECT_EQ(chunks.fetch_ahead(ids), 3U);
    world_.store.overwrite(object, damaged);
    EXPECT_EQ(as_text(chunks.read_state(ids[2])), "three") << "it was fetched while it was whole";
}

}  // namespace
}  // namespace holdfast::repo
