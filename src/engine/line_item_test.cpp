#include "engine/line_item.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/error.h"
#include "crypto/crypto.h"

namespace holdfast::engine {
namespace {

// A repository as far as lines need one: chunks by what they hold.
class Shelf {
public:
    repo::ChunkId put(ByteView bytes) {
        const repo::ChunkId id{crypto::sha256(bytes)};
        if (chunks_.emplace(id, to_bytes(bytes)).second) stored_ += bytes.size();
        return id;
    }
    std::string read(const std::vector<repo::Extent>& content) const {
        std::string out;
        for (const repo::Extent& extent : content) {
            const ByteView chunk = chunks_.at(extent.chunk);
            out += as_text(chunk.subspan(extent.offset, extent.length));
        }
        return out;
    }
    bool has(const repo::ChunkId& id) const { return chunks_.contains(id); }
    void lose_all() { chunks_.clear(); }
    std::uint64_t take_stored() { return std::exchange(stored_, 0); }

private:
    std::map<repo::ChunkId, Bytes> chunks_;
    std::uint64_t stored_ = 0;
};

class Lines : public testing::Test {
protected:
    struct Captured {
        std::vector<repo::Extent> content;
        std::uint64_t stored = 0;
    };
    // What the next capture finds is what this one left, when it is remembered.
    Captured capture(const std::string& text, std::size_t piece_bytes = 10'000) {
        const std::string path = folder_.path() + "/known";
        std::vector<std::pair<std::uint32_t, Bytes>> waiting;
        std::atomic<std::int64_t> left{extents_max_};
        auto known =
            remembers_ ? KnownLines::open(path, [this](const repo::ChunkId& id) { return shelf_.has(id); }) : nullptr;
        LineItem item(key_, std::move(known), std::make_unique<LineRecord>(path + ".new", text.size()), sizes_, left,
                      [&](std::uint32_t number, Bytes bytes) { waiting.emplace_back(number, std::move(bytes)); });
        for (std::size_t at = 0; at < text.size(); at += piece_bytes)
            item.add(as_bytes(std::string_view(text).substr(at, piece_bytes)));
        item.end();
        // The last one first: they may come in any order.
        while (!waiting.empty()) {
            item.settle(waiting.back().first, shelf_.put(waiting.back().second));
            waiting.pop_back();
        }
        LineItem::Finished finished = item.finish();
        EXPECT_TRUE(finished.is_remembered);
        std::filesystem::rename(path + ".new", path);
        EXPECT_EQ(shelf_.read(finished.content), text);
        EXPECT_EQ(item.bytes(), text.size());
        return {std::move(finished.content), shelf_.take_stored()};
    }

    std::string row(std::size_t number) {
        std::string out = fmt::format("{}\t", number);
        for (std::size_t left = 40 + number % 90; left > 0; --left) out += static_cast<char>('a' + random_() % 26);
        return out + "\n";
    }
    std::vector<std::string> table(std::size_t rows) {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < rows; ++i) out.push_back(row(i));
        return out;
    }
    static std::string text_of(const std::vector<std::string>& rows) {
        std::string out = "COPY \"s\".\"t\" (id, note) FROM stdin;\n";
        for (const std::string& each : rows) out += each;
        return out + "\\.\n";
    }
    // As an UPDATE does: the new version goes to the end.
    void update_each(std::vector<std::string>& rows, std::size_t step) {
        std::vector<std::string> moved;
        for (std::size_t i = step / 2; i < rows.size(); i += step) {
            moved.push_back(row(i));
            rows[i].clear();
        }
        std::erase(rows, "");
        rows.insert(rows.end(), moved.begin(), moved.end());
    }

    const Secret key_ = Secret::of_size(32);
    codec::ChunkSizes sizes_{.min = 16 * 1024, .mean = 64 * 1024, .max = 256 * 1024};
    TemporaryFolder folder_;
    Shelf shelf_;
    std::mt19937_64 random_{11};
    std::int64_t extents_max_ = 1'000'000;
    bool remembers_ = true;
};

TEST_F(Lines, unchanged_ones_are_not_stored_again) {
    const std::string text = text_of(table(30'000));
    EXPECT_EQ(capture(text).stored, text.size());
    EXPECT_EQ(capture(text).stored, 0U);
}

TEST_F(Lines, of_changed_ones_among_them_little_more_than_these_is_stored) {
    std::vector<std::string> rows = table(50'000);
    const std::uint64_t first = capture(text_of(rows)).stored;
    for (int day = 0; day < 5; ++day) {
        update_each(rows, 100);
        EXPECT_LT(capture(text_of(rows)).stored, first * 2 / 100) << "day " << day;
    }
}

TEST_F(Lines, stretches_that_moved_went_or_came_are_found) {
    std::vector<std::string> rows = table(60'000);
    const std::uint64_t first = capture(text_of(rows)).stored;
    std::rotate(rows.begin(), rows.begin() + 25'000, rows.end());
    rows.erase(rows.begin() + 10'000, rows.begin() + 20'000);
    const std::vector<std::string> more = table(1'000);
    rows.insert(rows.begin() + 30'000, more.begin(), more.end());
    EXPECT_LT(capture(text_of(rows)).stored, first * 8 / 100);
}

TEST_F(Lines, without_memory_the_same_chunks_come_out) {
    std::vector<std::string> rows = table(15'000);
    const std::uint64_t first = capture(text_of(rows), 10'000).stored;
    remembers_ = false;
    EXPECT_EQ(capture(text_of(rows), 777).stored, 0U);
    rows.erase(rows.begin() + 100);
    EXPECT_LT(capture(text_of(rows)).stored, first / 4);
}

TEST_F(Lines, what_the_repository_lost_is_stored_again) {
    const std::string text = text_of(table(5'000));
    capture(text);
    shelf_.lose_all();
    EXPECT_EQ(capture(text).stored, text.size());
}

TEST_F(Lines, damaged_memory_is_none) {
    const std::string text = text_of(table(2'000));
    capture(text);
    const std::string path = folder_.path() + "/known";
    const Bytes whole = read_file(path);
    for (std::size_t i = 0; i < 24; ++i) {
        Bytes damaged = whole;
        damaged[random_() % damaged.size()] ^= static_cast<std::uint8_t>(1U << random_() % 8);
        if (i % 3 == 0) damaged.resize(random_() % damaged.size());
        write_file_durably(path, damaged);
        capture(text);  // gives back the text, as every capture is checked to
    }
}

TEST_F(Lines, that_are_long_empty_or_not_ended_come_back) {
    std::string text = "\n\n" + std::string(100'000, 'x') + "\n" + std::string(900'000, 'y');
    capture(text);
    text += "\nend";
    capture(text, 41);
    capture("");
    capture("no line break");
}

TEST_F(Lines, pieces_are_bounded) {
    std::vector<std::string> rows = table(50'000);
    capture(text_of(rows));
    update_each(rows, 3);
    extents_max_ = 1'000;
    EXPECT_LT(capture(text_of(rows)).content.size(), 1'000U + 2 * 100);
}

TEST_F(Lines, many_captures_stay_whole_and_do_not_scatter_for_ever) {
    std::vector<std::string> rows = table(8'000);
    std::size_t most = 0;
    for (int day = 0; day < 40; ++day) {
        most = std::max(most, capture(text_of(rows)).content.size());
        if (day % 7 == 3) std::filesystem::remove(folder_.path() + "/known");
        update_each(rows, 20 + random_() % 30);
        std::vector<std::string> more = table(random_() % 200);
        const auto place = rows.begin() + static_cast<std::ptrdiff_t>(random_() % rows.size());
        rows.insert(place, more.begin(), more.end());
        const auto from = static_cast<std::ptrdiff_t>(random_() % (rows.size() - 300));
        rows.erase(rows.begin() + from, rows.begin() + from + static_cast<std::ptrdiff_t>(random_() % 300));
    }
    EXPECT_LT(most, 4'000U);
}

}  // namespace
}  // namespace holdfast::engine
