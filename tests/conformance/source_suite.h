// tests/conformance/source_suite.h: the promises of source/source.h, as tests that every kind of source
// passes.
//
// Shape    INSTANTIATE_TEST_SUITE_P(Files, SourceSuite, testing::Values(SourceKind{"files", make_place}),
//          source_name); make_place makes something to capture, and says how it looks when it was restored
//          into an empty folder
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/item.h"
#include "base/workers.h"
#include "source/partial_mark.h"
#include "source/source.h"
#include "testing/nasty_tree.h"
#include "testing/sim_world.h"

namespace holdfast {

// Something to capture. What it needs is alive as long as it is.
struct SourcePlace {
    const SourceType* type = nullptr;
    SourceOptions options;
    // What is wrong with a restore into this folder, a line each.
    std::function<std::vector<std::string>(const std::string& target)> differences;
    std::shared_ptr<void> keep;
    // Items whose bytes tell when they were made, so that two captures differ there.
    std::function<bool(const std::string& path)> is_dated = [](const std::string&) { return false; };
};
struct SourceKind {
    std::string name;
    std::function<SourcePlace()> make_place;
};
inline std::string source_name(const testing::TestParamInfo<SourceKind>& info) { return info.param.name; }
inline void PrintTo(const SourceKind& kind, std::ostream* out) { *out << kind.name; }

// One item as it was captured.
struct CapturedItem {
    Item item;
    std::string version;
    std::vector<std::pair<std::uint64_t, Bytes>> data;  // runs between holes
    std::uint64_t bytes = 0;                            // with holes
    std::vector<Finding> findings;
};

struct Captured {
    std::deque<CapturedItem> items;
    std::vector<std::string> batch_folders;  // of each item
    CaptureSummary summary;
};

struct ReadOptions {
    std::size_t threads = 1;
    std::size_t buffer_bytes = 64 * 1024;
};

inline void read_item(Capture& capture, const Batch& batch, const Batch::Entry& entry, CapturedItem& out,
                      std::size_t buffer_bytes) {
    out.item = entry.item;
    out.version = entry.version;
    if (auto finding = capture.complete(batch, out.item)) out.findings.push_back(*finding);
    if (entry.item.kind != ItemKind::file) return;
    const Capture::Opened opened = capture.open(batch, entry);
    ASSERT_NE(opened.data != nullptr, opened.finding.has_value());
    if (opened.finding) return out.findings.push_back(*opened.finding);
    Bytes buffer(buffer_bytes);
    bool after_hole = true;
    while (true) {
        const ItemData::Piece piece = opened.data->read(buffer);
        ASSERT_LE(piece.bytes, buffer.size());
        if (piece.bytes > 0) {
            if (after_hole) out.data.emplace_back(out.bytes, Bytes());
            Bytes& run = out.data.back().second;
            run.insert(run.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(piece.bytes));
            after_hole = false;
            out.bytes += piece.bytes;
        } else if (piece.hole > 0) {
            after_hole = true;
            out.bytes += piece.hole;
        } else {
            break;
        }
    }
    out.item.size = out.bytes;
    if (auto finding = opened.data->verdict()) out.findings.push_back(*finding);
}

inline Captured capture_all(Source& source, World& world, const ReadOptions& options = {}) {
    Captured out;
    const std::unique_ptr<Capture> capture = source.begin({world});
    Workers workers(options.threads, 64);
    std::vector<std::shared_ptr<Batch>> batches;
    auto batch = std::make_shared<Batch>();
    while (capture->next(*batch)) {
        for (const Batch::Entry& entry : batch->entries) {
            CapturedItem& item = out.items.emplace_back();
            out.batch_folders.push_back(batch->folder);
            workers.submit([&, batch] { read_item(*capture, *batch, entry, item, options.buffer_bytes); });
        }
        batch = std::make_shared<Batch>();
    }
    workers.finish();
    out.summary = capture->finish();
    return out;
}

inline RebuildRequest rebuild_request(World& world, const std::string& target) {
    return {.world = world, .target = target, .sync = false, .snapshot_id = "5ource", .strip = ""};
}

struct WriteOptions {
    std::size_t threads = 1;
    std::size_t piece_bytes = 100'000;
    bool backwards = false;  // later pieces first
};

inline void write_item(Rebuild& rebuild, const Rebuild::Ticket& ticket, const CapturedItem& item,
                       const WriteOptions& options) {
    std::vector<std::pair<std::uint64_t, ByteView>> pieces;
    for (const auto& [offset, run] : item.data) {
        for (std::size_t at = 0; at < run.size(); at += options.piece_bytes)
            pieces.emplace_back(offset + at, ByteView(run).subspan(at, std::min(options.piece_bytes, run.size() - at)));
    }
    if (options.backwards) std::ranges::reverse(pieces);
    for (const auto& [offset, bytes] : pieces) rebuild.write(ticket, offset, bytes);
    rebuild.end_item(ticket);
}

inline Rebuild::Summary rebuild_all(const Captured& captured, Rebuild& rebuild, const WriteOptions& options = {}) {
    Workers workers(options.threads, 64);
    for (const CapturedItem& item : captured.items) {
        const Rebuild::Ticket ticket = rebuild.begin_item(item.item);
        if (ticket.wants_content) workers.submit([&, ticket] { write_item(rebuild, ticket, item, options); });
    }
    workers.finish();
    return rebuild.finish();
}

class SourceSuite : public testing::TestWithParam<SourceKind> {
protected:
    std::unique_ptr<Source> make_source() const { return place_.type->make("conformance", place_.options); }
    RebuildRequest request(const std::string& target) { return rebuild_request(sim_.world(), target); }
    void restore_and_compare(const Captured& captured, const WriteOptions& options) {
        const TemporaryFolder outside;
        const std::string target = outside.path() + "/target";
        const auto rebuild = place_.type->rebuild(request(target));
        const Rebuild::Summary summary = rebuild_all(captured, *rebuild, options);
        for (const Finding& finding : summary.findings) ADD_FAILURE() << finding.path << ": " << finding.text;
        EXPECT_EQ(place_.differences(target), std::vector<std::string>());
        remove_everything(target);
    }

    // Made once for all tests of a kind: they only look.
    static const SourcePlace& place_of(const SourceKind& kind) {
        static std::map<std::string, SourcePlace> places;
        const auto found = places.find(kind.name);
        return found != places.end() ? found->second : places.emplace(kind.name, kind.make_place()).first->second;
    }

    const SourcePlace& place_ = place_of(GetParam());
    SimWorld sim_{1};
};

TEST_P(SourceSuite, says_what_it_is) {
    const auto source = make_source();
    EXPECT_EQ(source->name(), "conformance");
    EXPECT_EQ(source->kind(), place_.type->kind);
    EXPECT_FALSE(source->describe().empty());
}

TEST_P(SourceSuite, hands_out_items_in_tree_order) {
    const auto source = make_source();
    const Captured captured = capture_all(*source, sim_.world());
    ASSERT_FALSE(captured.items.empty());
    for (std::size_t i = 0; i < captured.items.size(); ++i) {
        const std::string& path = captured.items[i].item.path;
        EXPECT_EQ(captured.batch_folders[i], split_path(path).first);
        if (i > 0) {
            EXPECT_LT(tree_key(captured.items[i - 1].item.path), tree_key(path));
        }
    }
}

TEST_P(SourceSuite, captures_the_same_again) {
    const auto source = make_source();
    const Captured first = capture_all(*source, sim_.world());
    const Captured second = capture_all(*source, sim_.world());
    ASSERT_EQ(first.items.size(), second.items.size());
    for (std::size_t i = 0; i < first.items.size(); ++i) {
        // Folders that only lead to the source are used by others meanwhile.
        if (is_partial(first.items[i].item)) continue;
        EXPECT_TRUE(first.items[i].item == second.items[i].item) << first.items[i].item.path;
        EXPECT_EQ(first.items[i].version, second.items[i].version) << first.items[i].item.path;
        if (place_.is_dated(first.items[i].item.path)) continue;
        EXPECT_TRUE(first.items[i].data == second.items[i].data) << first.items[i].item.path;
    }
    EXPECT_EQ(first.summary.findings.size(), 0U);
}

TEST_P(SourceSuite, is_read_by_many_threads_at_the_same_time) {
    const auto source = make_source();
    const Captured one = capture_all(*source, sim_.world());
    const Captured many = capture_all(*source, sim_.world(), {.threads = 4, .buffer_bytes = 1000});
    ASSERT_EQ(one.items.size(), many.items.size());
    for (std::size_t i = 0; i < one.items.size(); ++i) {
        if (is_partial(one.items[i].item)) continue;
        EXPECT_TRUE(one.items[i].item == many.items[i].item) << one.items[i].item.path;
        EXPECT_TRUE(many.items[i].findings.empty()) << one.items[i].item.path;
        if (place_.is_dated(one.items[i].item.path)) continue;
        EXPECT_TRUE(one.items[i].data == many.items[i].data) << one.items[i].item.path;
    }
}

TEST_P(SourceSuite, is_restored_equal) {
    const auto source = make_source();
    restore_and_compare(capture_all(*source, sim_.world()), {});
}

TEST_P(SourceSuite, is_restored_equal_by_many_threads_from_pieces_in_any_order) {
    const auto source = make_source();
    restore_and_compare(capture_all(*source, sim_.world(), {.threads = 3}),
                        {.threads = 4, .piece_bytes = 7777, .backwards = true});
}

TEST_P(SourceSuite, restores_nothing_in_a_dry_run) {
    const auto source = make_source();
    const Captured captured = capture_all(*source, sim_.world());
    const TemporaryFolder outside;
    RebuildRequest dry = request(outside.path() + "/target");
    dry.dry_run = true;
    const auto rebuild = place_.type->rebuild(dry);
    const Rebuild::Summary summary = rebuild_all(captured, *rebuild);
    EXPECT_FALSE(std::filesystem::exists(outside.path() + "/target"));
    const auto wet = place_.type->rebuild(request(outside.path() + "/target"));
    EXPECT_EQ(summary.items_written, rebuild_all(captured, *wet).items_written);
    remove_everything(outside.path() + "/target");
}

TEST_P(SourceSuite, ends_when_it_is_told_to_stop) {
    const auto source = make_source();
    sim_.stop.request();
    EXPECT_THROW(capture_all(*source, sim_.world()), Error);
}

TEST_P(SourceSuite, may_be_left_in_the_middle) {
    const auto source = make_source();
    const std::unique_ptr<Capture> capture = source->begin({sim_.world()});
    Batch batch;
    EXPECT_TRUE(capture->next(batch));
}

}  // namespace holdfast
