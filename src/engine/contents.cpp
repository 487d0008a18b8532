#include "engine/contents.h"

#include <algorithm>

#include "base/error.h"
#include "codec/stream_cutter.h"
#include "engine/line_item.h"
#include "source/line_data.h"

namespace holdfast::engine {

namespace {

constexpr std::size_t bundle_min = 128 * 1024;
constexpr std::size_t bundle_mean_more = 384 * 1024;
constexpr std::size_t bundle_max = 2 * 1024 * 1024;
constexpr std::size_t known_max = 400'000;
constexpr std::size_t idle_blocks_max = 2;
constexpr std::size_t lines_read_bytes = 256 * 1024;

// A bundle ends behind a file with a chance in proportion to its size, drawn from its content.
bool ends_bundle(const std::array<std::uint8_t, 16>& fingerprint, std::size_t bytes, std::size_t bundle_bytes) {
    if (bundle_bytes >= bundle_max) return true;
    if (bundle_bytes < bundle_min) return false;
    std::uint64_t draw;
    std::memcpy(&draw, fingerprint.data() + 8, sizeof draw);
    return draw / bytes < ~std::uint64_t{0} / bundle_mean_more;
}

}  // namespace

Contents::Contents(Capture& capture, repo::PackWriter& packs, const repo::Keyring& keys, const Stop& stop,
                   Progress& progress, LineMemory& lines, std::size_t workers)
    : capture_(capture),
      packs_(packs),
      keys_(keys),
      stop_(stop),
      progress_(progress),
      lines_(lines),
      small_max_(keys.config().small_file_max),
      block_bytes_(keys.config().chunk_sizes.max + 1024 * 1024),
      workers_(workers, workers_waiting_max,
               capture.keeps_a_server_waiting() ? Workers::Priority::low : Workers::Priority::usual) {}

Contents::~Contents() = default;

void Contents::submit(std::shared_ptr<ItemJob> job) {
    const Batch::Entry& entry = job->entry();
    job->item = entry.item;
    const bool large = !job->shares_content && entry.item.kind == ItemKind::file && entry.expected_bytes > small_max_;
    if (large) {
        workers_.submit([this, job = std::move(job)] { read_large(job); });
        return;
    }
    if (!filling_) filling_ = std::make_shared<Run>();
    if (!job->shares_content) filling_->expected += entry.expected_bytes;
    filling_->members.push_back({std::move(job), 0, 0, {}, false});
    if (filling_->expected >= run_bytes || filling_->members.size() >= run_items) start_run();
}

void Contents::start_run() {
    if (!filling_) return;
    reading_.push_back(filling_);
    workers_.submit([this, run = std::exchange(filling_, nullptr)] { read_run(*run); });
    take_finished_runs();
}

// Bundling follows item order, so a run waits for those before it.
void Contents::take_finished_runs() {
    while (!reading_.empty() && reading_.front()->done.load(std::memory_order_acquire)) {
        bundle_run(*reading_.front());
        reading_.pop_front();
    }
}

void Contents::end() {
    start_run();
    while (!reading_.empty()) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return reading_.front()->done.load(); });
        }
        workers_.rethrow_if_failed();
        take_finished_runs();
    }
    close_bundle();
}

void Contents::wait(const ItemJob& job) {
    while (!job.done()) {
        take_finished_runs();
        if (job.done()) return;
        workers_.rethrow_if_failed();
        // The job may sit in what is still being gathered.
        if (reading_.empty()) {
            if (filling_)
                start_run();
            else
                close_bundle();
        }
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::milliseconds(20),
                          [&] { return job.done() || (!reading_.empty() && reading_.front()->done.load()); });
    }
}

void Contents::read_run(Run& run) {
    run.bytes.reserve(std::min<std::uint64_t>(run.expected, 2 * run_bytes) + 4096);
    crypto::Fingerprint fingerprint(keys_.domain().bundle_key);
    for (Member& member : run.members) {
        ItemJob& job = *member.job;
        if (auto finding = capture_.complete(*job.batch, job.item)) {
            job.findings.push_back(std::move(*finding));
            job.left_out = true;
            continue;
        }
        if (job.item.kind != ItemKind::file || job.shares_content) continue;
        member.offset = run.bytes.size();
        read_small(run, member);
        member.bytes = run.bytes.size() - member.offset;
        if (member.bytes > 0)
            member.fingerprint = fingerprint(ByteView(run.bytes).subspan(member.offset, member.bytes));
    }
    {
        const std::lock_guard lock(mutex_);
        run.done.store(true, std::memory_order_release);
    }
    changed_.notify_all();
}

ItemData::Piece Contents::read_piece(ItemJob& job, ItemData& data, MutableByteView into) {
    stop_.check();
    const ItemData::Piece piece = data.read(into);
    if (piece.is_broken) job.left_out = true;
    return piece;
}

void Contents::read_small(Run& run, Member& member) {
    ItemJob& job = *member.job;
    Capture::Opened opened = capture_.open(*job.batch, job.entry());
    if (opened.finding) {
        job.findings.push_back(std::move(*opened.finding));
        job.left_out = true;
        return;
    }
    const std::size_t start = run.bytes.size();
    std::size_t room = std::max<std::size_t>(job.entry().expected_bytes + 1, 512);
    while (true) {
        const std::size_t at = run.bytes.size();
        run.bytes.resize(at + room);
        const ItemData::Piece piece = read_piece(job, *opened.data, MutableByteView(run.bytes).subspan(at));
        run.bytes.resize(at + piece.bytes);
        if (piece.bytes == 0 && piece.hole == 0) break;
        const bool grew = run.bytes.size() - start > 2 * small_max_;
        if (piece.bytes == 0 || grew) {
            // It has holes, or is no longer small: from here it goes the way of large files. What a command prints
            // can be opened once only, so what is read already goes along.
            const Bytes begun(run.bytes.begin() + static_cast<std::ptrdiff_t>(start), run.bytes.end());
            run.bytes.resize(start);
            member.streamed = true;
            job.parts.fetch_add(1);
            read_stream(member.job, *opened.data, begun, piece.hole);
            if (auto finding = opened.data->verdict()) job.findings.push_back(std::move(*finding));
            part_done(job);
            return;
        }
        room = piece.bytes < room ? 512 : 64 * 1024;
    }
    if (auto finding = opened.data->verdict()) job.findings.push_back(std::move(*finding));
    if (job.left_out) run.bytes.resize(start);
    job.item.size = run.bytes.size() - start;
    bytes_read_ += job.item.size;
    progress_.bytes += job.item.size;
}

void Contents::bundle_run(Run& run) {
    for (const Member& member : run.members) {
        if (member.bytes == 0 || member.streamed)
            part_done(*member.job);
        else
            put_in_bundle(member, ByteView(run.bytes).subspan(member.offset, member.bytes));
    }
}

void Contents::put_in_bundle(const Member& member, ByteView bytes) {
    const auto settle = [&](Bundle& bundle, std::uint32_t offset) {
        const std::lock_guard lock(mutex_);
        member.job->content.push_back({{}, offset, bytes.size()});
        if (!bundle.id) return bundle.waiting.emplace_back(member.job, offset), false;
        member.job->content.back().chunk = *bundle.id;
        return true;
    };
    const auto known = known_.find(member.fingerprint);
    if (known != known_.end()) {
        if (settle(*known->second.bundle, known->second.offset)) part_done(*member.job);
        return;
    }
    if (!bundle_) bundle_ = std::make_shared<Bundle>();
    const auto offset = static_cast<std::uint32_t>(bundle_->bytes.size());
    append(bundle_->bytes, bytes);
    if (known_.size() >= known_max) known_.clear();
    known_.emplace(member.fingerprint, Place{bundle_, offset});
    settle(*bundle_, offset);
    if (ends_bundle(member.fingerprint, bytes.size(), bundle_->bytes.size())) close_bundle();
}

void Contents::close_bundle() {
    if (!bundle_) return;
    workers_.submit([this, bundle = std::exchange(bundle_, nullptr)] {
        const repo::ChunkId id = packs_.add(bundle->bytes).id;
        Bytes().swap(bundle->bytes);
        std::vector<std::pair<std::shared_ptr<ItemJob>, std::uint32_t>> waiting;
        {
            const std::lock_guard lock(mutex_);
            bundle->id = id;
            waiting.swap(bundle->waiting);
            for (const auto& [job, offset] : waiting) job->content.back().chunk = id;
        }
        for (const auto& [job, offset] : waiting) part_done(*job);
    });
}

void Contents::read_large(const std::shared_ptr<ItemJob>& job) {
    if (auto finding = capture_.complete(*job->batch, job->item)) {
        job->findings.push_back(std::move(*finding));
        job->left_out = true;
    } else {
        Capture::Opened opened = job->earlier ? capture_.open_changed(*job->batch, job->entry(), job->earlier->kept())
                                              : capture_.open(*job->batch, job->entry());
        if (opened.finding) {
            job->findings.push_back(std::move(*opened.finding));
            job->left_out = true;
        } else {
            if (dynamic_cast<const LineData*>(opened.data.get()) != nullptr)
                read_lines(job, *opened.data);
            else
                read_stream(job, *opened.data, {}, 0);
            if (auto changed = opened.data->verdict()) job->findings.push_back(std::move(*changed));
        }
    }
    part_done(*job);
}

void Contents::read_stream(const std::shared_ptr<ItemJob>& job, ItemData& data, ByteView begun, std::uint64_t hole) {
    codec::StreamCutter cutter(keys_.domain().chunker, data.has_records());
    const bool spread = job->entry().expected_bytes > spread_bytes || job->entry().expected_bytes == 0;
    const std::size_t expected = job->entry().expected_bytes;
    const std::size_t room = std::min<std::size_t>(block_bytes_, expected == 0 ? SIZE_MAX : expected + 1);
    std::shared_ptr<Bytes> block = take_block(std::max(room, begun.size() + 1));
    std::ranges::copy(begun, block->begin());
    std::size_t begin = 0, end = begun.size();
    std::uint64_t size = begun.size();
    std::uint64_t fresh = 0;  // behind `begun`, of which nothing is known where there is an earlier content
    bytes_read_ += begun.size();
    progress_.bytes += begun.size();
    while (true) {
        if (end == block->size()) {
            // The chunks of this one may still wait for a worker.
            std::shared_ptr<Bytes> next = take_block(std::max(block_bytes_, end - begin + 1));
            std::memcpy(next->data(), block->data() + begin, end - begin);
            block = std::move(next);
            end -= begin;
            begin = 0;
        }
        const ItemData::Piece piece = hole > 0 ? ItemData::Piece{0, std::exchange(hole, 0)}
                                               : read_piece(*job, data, MutableByteView(*block).subspan(end));
        for (const ItemData::RecordEnd& record : piece.records)
            cutter.record(end - begin + record.at, record.bytes, record.hash);
        end += piece.bytes;
        size += piece.bytes + piece.hole;
        bytes_read_ += piece.bytes;
        progress_.bytes += piece.bytes;
        if (piece.same > 0) {
            size += piece.same;
            progress_.bytes += piece.same;
            add_run(job->runs, {true, piece.same_from, piece.same});
            continue;
        }
        if (job->earlier) add_run(job->runs, {false, fresh, piece.bytes + piece.hole});
        fresh += piece.bytes + piece.hole;
        const bool last = piece.bytes == 0;
        while (begin < end) {
            const std::size_t cut = cutter.next(ByteView(*block).subspan(begin, end - begin), last);
            if (cut == 0) break;
            store_piece(job, block, ByteView(*block).subspan(begin, cut), spread);
            begin += cut;
        }
        if (!last) continue;
        if (piece.hole == 0) break;
        const std::lock_guard lock(mutex_);
        job->content.push_back({{}, 0, piece.hole});
    }
    job->item.size = size;
}

// The item is done when the last of its chunks is stored and its extents have their ids.
void Contents::read_lines(const std::shared_ptr<ItemJob>& job, ItemData& data) {
    const std::string& path = job->item.path;
    const std::uint64_t expected = job->entry().expected_bytes;
    struct Lines {
        std::unique_ptr<LineItem> item;
        std::atomic<std::uint32_t> parts{1};
    };
    const auto lines = std::make_shared<Lines>();
    const auto part_of_lines_done = [this, job, lines] {
        if (lines->parts.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        LineItem::Finished finished = lines->item->finish();
        if (finished.is_remembered) lines_.keep(job->item.path);
        job->content = std::move(finished.content);
        lines->item.reset();
        part_done(*job);
    };
    // Called while this function runs, as it would keep what it belongs to.
    const auto store = [&](std::uint32_t number, Bytes bytes) {
        ++lines->parts;
        workers_.submit([this, lines, part_of_lines_done, number, bytes = std::move(bytes)] {
            lines->item->settle(number, packs_.add(bytes).id);
            part_of_lines_done();
        });
    };
    job->parts.fetch_add(1);
    lines->item = std::make_unique<LineItem>(
        lines_.key(), lines_.known(path, [this](const repo::ChunkId& id) { return packs_.knows(id); }),
        lines_.record(path, expected), keys_.config().chunk_sizes, line_extents_left_, store);
    Bytes buffer(lines_read_bytes);
    while (true) {
        const ItemData::Piece piece = read_piece(*job, data, buffer);
        HF_ASSERT(piece.hole == 0);
        if (piece.bytes == 0) break;
        bytes_read_ += piece.bytes;
        progress_.bytes += piece.bytes;
        lines->item->add(ByteView(buffer).first(piece.bytes));
    }
    lines->item->end();
    job->item.size = lines->item->bytes();
    part_of_lines_done();
}

void Contents::store_piece(const std::shared_ptr<ItemJob>& job, const std::shared_ptr<Bytes>& block, ByteView plain,
                           bool spread) {
    std::size_t place;
    {
        const std::lock_guard lock(mutex_);
        place = job->content.size();
        job->content.push_back({{}, 0, plain.size()});
    }
    const auto settle = [this, place](ItemJob& to, const repo::ChunkId& id) {
        const std::lock_guard lock(mutex_);
        to.content[place].chunk = id;
    };
    if (!spread) return settle(*job, packs_.add(plain).id);
    job->parts.fetch_add(1);
    workers_.submit([this, job, settle, block, plain] {
        settle(*job, packs_.add(plain).id);
        part_done(*job);
    });
}

std::shared_ptr<Bytes> Contents::take_block(std::size_t bytes) {
    if (bytes != block_bytes_) return std::make_shared<Bytes>(bytes);
    const auto give_back = [this](Bytes* block) {
        std::unique_ptr<Bytes> mine(block);
        const std::lock_guard lock(blocks_mutex_);
        if (blocks_.size() < idle_blocks_max) blocks_.push_back(std::move(mine));
    };
    const std::lock_guard lock(blocks_mutex_);
    if (blocks_.empty()) return {new Bytes(bytes), give_back};
    std::unique_ptr<Bytes> block = std::move(blocks_.back());
    blocks_.pop_back();
    return {block.release(), give_back};
}

void Contents::part_done(ItemJob& job) {
    if (job.parts.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    ++progress_.items;
    // Taking the lock keeps a waiter from missing the change between its look and its sleep.
    { const std::lock_guard lock(mutex_); }
    changed_.notify_all();
}

}  // namespace holdfast::engine
