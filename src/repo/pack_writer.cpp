#include "repo/pack_writer.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast::repo {

PackWriter::PackWriter(const Keyring& keys, Store& store, Index& index, World& world, Mode mode,
                       codec::Compression compression)
    : keys_(keys), store_(store), index_(index), world_(world), mode_(mode), compression_(compression) {
    for (std::size_t i = 0; i + 1 < uploads_max; ++i) uploaders_.emplace_back([this] { upload(); });
}

PackWriter::~PackWriter() {
    outgoing_.close();
    uploaders_.clear();
}

PackWriter::Added PackWriter::add(ByteView plain) {
    return store(PackKind::data, data_id(keys_.domain().chunk_id, plain), {}, plain);
}
PackWriter::Added PackWriter::add_state(ByteView plain) {
    return store(PackKind::state, state_id(keys_.domain().chunk_id, plain), {}, plain);
}
PackWriter::Added PackWriter::add_node(ByteView reachable, ByteView content) {
    return store(PackKind::meta, node_id(keys_.domain().chunk_id, reachable, content), reachable, content);
}

bool PackWriter::knows(const ChunkId& id) {
    {
        const std::lock_guard lock(mutex_);
        if (claimed_.contains(id)) return true;
    }
    return index_.knows(id);
}

// True for the one caller that is to store it.
bool PackWriter::claim(const ChunkId& id) {
    {
        const std::lock_guard lock(mutex_);
        if (failure_) std::rethrow_exception(failure_);
        if (claimed_.contains(id)) return false;
    }
    if (index_.knows(id)) return false;
    const std::lock_guard lock(mutex_);
    return claimed_.insert(id).second;
}

PackWriter::Added PackWriter::store(PackKind kind, const ChunkId& id, ByteView reachable, ByteView content) {
    if (!claim(id)) return {id, false};
    auto section = borrow(kind);
    section->add(id, reachable, content);
    give_back(kind, std::move(section));
    bytes_added_ += reachable.size() + content.size();
    ++chunks_added_;
    return {id, true};
}

std::unique_ptr<SectionBuilder> PackWriter::borrow(PackKind kind) {
    Bytes room;
    {
        const std::lock_guard lock(mutex_);
        auto& idle = idle_[static_cast<std::size_t>(kind)];
        if (!idle.empty()) {
            auto section = std::move(idle.back());
            idle.pop_back();
            return section;
        }
        if (kind == PackKind::data && !rooms_.empty()) {
            room = std::move(rooms_.back());
            rooms_.pop_back();
        }
    }
    return std::make_unique<SectionBuilder>(
        keys_, kind, world_.random, kind == PackKind::data ? compression_ : codec::usual_compression, std::move(room));
}

void PackWriter::give_back(PackKind kind, std::unique_ptr<SectionBuilder> section) {
    if (section->bytes() >= section_bytes_full(keys_.config(), kind)) {
        std::vector<std::unique_ptr<SectionBuilder>> one;
        one.push_back(std::move(section));
        send(kind, std::move(one));
        return;
    }
    const std::lock_guard lock(mutex_);
    idle_[static_cast<std::size_t>(kind)].push_back(std::move(section));
}

void PackWriter::send(PackKind kind, std::vector<std::unique_ptr<SectionBuilder>> sections) {
    Outgoing pack{kind, {}, {}};
    for (auto& section : sections) section->finish(pack.bytes, pack.places);
    sections.clear();
    {
        const std::lock_guard lock(mutex_);
        ++on_their_way_;
    }
    if (!outgoing_.push(std::move(pack))) rethrow_if_failed();
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return on_their_way_ < uploads_max; });
}

void PackWriter::upload() {
    while (auto pack = outgoing_.pop()) {
        try {
            PackContents contents{{pack->kind, seal_pack(pack->bytes)}, pack->bytes.size(), std::move(pack->places)};
            if (mode_ == Mode::upload) create_own(store_, contents.pack.object(), pack->bytes);
            bytes_stored_ += pack->bytes.size();
            const std::lock_guard lock(mutex_);
            places_waiting_ += contents.places.size();
            finished_.push_back(std::move(contents));
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
        }
        const std::lock_guard lock(mutex_);
        const bool is_last = on_their_way_ == 1;  // while others wait, memory is for them
        if (pack->kind == PackKind::data && is_last && rooms_.size() < rooms_max)
            rooms_.push_back(std::move(pack->bytes));
        --on_their_way_;
        arrived_.notify_all();
    }
}

void PackWriter::finish() {
    for (const PackKind kind : {PackKind::data, PackKind::meta, PackKind::state}) {
        std::vector<std::unique_ptr<SectionBuilder>> sections;
        {
            const std::lock_guard lock(mutex_);
            sections = std::exchange(idle_[static_cast<std::size_t>(kind)], {});
        }
        std::erase_if(sections, [](const auto& section) { return section->chunks() == 0; });
        // Sections are free of their place, so the rests of several threads share a pack where they fit.
        std::vector<std::unique_ptr<SectionBuilder>> together;
        std::size_t bytes = 0;
        for (auto& section : sections) {
            if (bytes + section->bytes() > 32U * 1024 * 1024) {
                send(kind, std::exchange(together, {}));
                bytes = 0;
            }
            bytes += section->bytes();
            together.push_back(std::move(section));
        }
        if (!together.empty()) send(kind, std::move(together));
    }
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return on_their_way_ == 0; });
    lock.unlock();
    rethrow_if_failed();
}

std::vector<PackContents> PackWriter::take_finished() {
    const std::lock_guard lock(mutex_);
    places_waiting_ = 0;
    return std::exchange(finished_, {});
}

void PackWriter::forget(const std::vector<PackContents>& published) {
    const std::lock_guard lock(mutex_);
    for (const PackContents& pack : published)
        for (const ChunkPlace& place : pack.places) claimed_.erase(place.id);
}

void PackWriter::rethrow_if_failed() {
    const std::lock_guard lock(mutex_);
    if (!failure_) return;
    Error error = as_error(failure_);
    error.add_notes(current_notes());
    throw error;
}

}  // namespace holdfast::repo
