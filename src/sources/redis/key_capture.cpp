#include "sources/redis/key_capture.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "sources/redis/names.h"
#include "sources/redis/own_place.h"

namespace holdfast::redis {

namespace {

// A database may have any size: a bucket is in memory as a whole, and is an item of its own.
constexpr unsigned unknown_bits = 8;

class BytesData final : public ItemData {
public:
    explicit BytesData(ByteView bytes) : bytes_(bytes) {}
    Piece read(MutableByteView into) override {
        const std::size_t some = std::min(into.size(), bytes_.size());
        if (some > 0) std::memcpy(into.data(), bytes_.data(), some);
        bytes_ = bytes_.subspan(some);
        return {some, 0};
    }

private:
    ByteView bytes_;
};

Item item_of(std::string path, ItemKind kind) {
    Item out;
    out.path = std::move(path);
    out.kind = kind;
    out.mode = kind == ItemKind::folder ? 0700 : 0600;
    out.uid = ::geteuid();
    out.gid = ::getegid();
    return out;
}

Bytes new_seed(World& world) {
    Bytes out(seed_bytes);
    world.random.fill(out);
    return out;
}

}  // namespace

std::string memory_path(const RdbOrigin& origin) { return memory_path(origin.source, origin.place); }

KeyCapture::KeyCapture(World& world, RdbOrigin origin, std::unique_ptr<MemoryReader> before)
    : KeyCapture(world, std::move(origin), std::move(before), before ? before->seed() : new_seed(world)) {}

KeyCapture::KeyCapture(World& world, RdbOrigin origin, std::unique_ptr<MemoryReader>&& before, const Bytes& seed)
    : world_(world),
      origin_(std::move(origin)),
      before_(std::move(before)),
      store_(
          world, [this](std::uint64_t number) { return choose_bits(number); }, seed, origin_.only),
      seed_(seed) {}

// As before, unless it has become much more or less: other buckets mean that all is stored anew.
unsigned KeyCapture::choose_bits(std::uint64_t number) const {
    const auto estimated = origin_.bytes.find(number);
    const bool is_known = !origin_.bytes.empty() || origin_.bytes_each > 0;
    const unsigned fitting =
        is_known ? bucket_bits_for(estimated == origin_.bytes.end() ? origin_.bytes_each : estimated->second)
                 : unknown_bits;
    const auto remembered = before_ ? before_->bits(number) : std::nullopt;
    if (remembered && *remembered + 1 >= fitting && *remembered <= fitting + 2) return *remembered;
    return fitting;
}

// "ctime" is when the server began to write.
void KeyCapture::refuse_old() const {
    if (origin_.written_since_s == 0) return;
    const auto& aux = store_.counts().aux_fields();
    std::int64_t written = 0;
    if (const auto found = aux.find("ctime"); found != aux.end())
        std::from_chars(found->second.data(), found->second.data() + found->second.size(), written);
    if (written >= origin_.written_since_s) return;
    throw Error{Code::source_failed, "the RDB file was written before {} was asked for it: it is not that server's",
                origin_.place}
        .hint("Name the server's own folder, as it is seen on this machine, by `data_dir`.");
}

void KeyCapture::end_reading(const BitsByDatabase& bits) {
    refuse_old();
    if (const std::uint64_t opaque = store_.counts().opaque(); opaque > 0)
        world_.log.info(
            fmt::format("{} of modules are kept as they are; only a server with the same modules reads "
                        "them",
                        opaque == 1 ? "one value" : "values"));
    bits_ = bits;
    database_ = bits_.begin();
    after_ = std::make_unique<MemoryWriter>(memory_path(origin_), seed_, bits_);
}

bool KeyCapture::next(Batch& batch) {
    world_.stop.check();
    batch = Batch{};
    if (!std::exchange(has_top_, true)) {
        add_top(batch);
        return true;
    }
    while (batch.entries.empty()) {
        if (database_ == bits_.end()) return false;
        const auto [number, bits] = *database_;
        batch.folder = fmt::format("{}", number);
        const std::size_t buckets = std::size_t{1} << bits;
        const std::size_t end = std::min(buckets, bucket_ + buckets_each_batch);
        for (; bucket_ < end; ++bucket_) after_->add(add_bucket(batch, number, bucket_));
        if (bucket_ == buckets) {
            bucket_ = 0;
            ++database_;
        }
    }
    return true;
}

void KeyCapture::add_top(Batch& batch) const {
    for (const auto& [number, bits] : bits_)
        batch.entries.push_back({item_of(fmt::format("{}", number), ItemKind::folder), "", 0});
    batch.entries.push_back({item_of(std::string(server_item), ItemKind::file), "", store_.server().size()});
    for (const auto& [item, text] : origin_.settings)
        batch.entries.push_back({item_of(item, ItemKind::file), "", text.size()});
    std::ranges::sort(batch.entries, {}, [](const Batch::Entry& entry) { return tree_key(entry.item.path); });
}

Batch::Entry KeyCapture::layer_entry(std::uint64_t database, std::size_t bucket, const Layer& layer) {
    return {item_of(layer_path(database, bucket, layer.number), ItemKind::file), layer.id.hex(), layer.bytes};
}

Capture::Opened KeyCapture::open(const Batch& batch, const Batch::Entry& entry) {
    if (entry.item.path == server_item) return {std::make_unique<BytesData>(store_.server()), std::nullopt};
    if (const auto found = origin_.settings.find(entry.item.path); found != origin_.settings.end())
        return {std::make_unique<BytesData>(as_bytes(found->second)), std::nullopt};
    return {open_layer(batch, static_cast<std::size_t>(&entry - batch.entries.data())), std::nullopt};
}

CaptureSummary KeyCapture::finish() {
    if (after_) after_->commit();
    CaptureSummary out;
    out.facts = store_.facts();
    out.facts->list.insert(out.facts->list.end(), origin_.about.begin(), origin_.about.end());
    if (origin_.moment) {
        out.facts->list.push_back({"", "about instant", fmt::format("{}", origin_.moment->time / 1'000'000)});
        if (const std::string number = stream_database(); !number.empty())
            out.facts->list.push_back({"", std::string(stream_database_fact), number});
    }
    out.facts->sort();
    out.moment = origin_.moment;
    return out;
}

std::string KeyCapture::stream_database() const {
    if (origin_.stream_database) return fmt::format("{}", *origin_.stream_database);
    const auto& aux = store_.counts().aux_fields();
    const auto found = aux.find("repl-stream-db");
    return found == aux.end() ? "" : found->second;
}

}  // namespace holdfast::redis
