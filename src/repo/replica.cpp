#include "repo/replica.h"

#include "base/error.h"
#include "repo/names.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t version = 1;
enum class MarkKind : std::uint8_t { cut = 1, promoted = 2 };

Bytes encode_mark(const Keyring& keys, ByteView credential, MarkKind kind, std::uint64_t number, const Cut& cut,
                  Nanoseconds time) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(version);
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.varint(number);
    writer.zigzag(time);
    writer.string(credential);
    writer.varint(cut.size());
    for (const auto& [lane, next] : cut) {
        writer.raw(lane.signer.view());
        writer.u32(lane.lane);
        writer.varint(next);
    }
    return sign(SignedKind::replica_mark, keys.repository(), keys.secrets().signer, payload);
}

struct Mark {
    Nanoseconds time = 0;
    Role role{};
    Cut cut;
};

Mark decode_mark(ByteView bytes, const Config& config, MarkKind kind, std::uint64_t number, const std::string& object) {
    const SignedView view = parse_signed(bytes, SignedKind::replica_mark, object);
    ByteReader reader(view.payload, object);
    if (reader.u8() != version) reader.fail("it is of a version that this one does not know");
    if (reader.u8() != static_cast<std::uint8_t>(kind)) reader.fail("it is a mark of another kind");
    if (reader.varint() != number) reader.fail("it is the mark of another place");
    Mark mark;
    mark.time = reader.zigzag();
    const Credential author = decode_credential(reader.string_view(), config.repository, config.root);
    verify_signed(view, author.signer, config.repository, object);
    mark.role = author.role;
    for (std::size_t left = reader.count(21); left > 0; --left) {
        LaneName lane;
        lane.signer = SignerId::from(reader.raw(SignerId::size));
        lane.lane = reader.u32();
        mark.cut[lane] = reader.varint();
    }
    reader.expect_done();
    return mark;
}

// Numbers are dense and nothing is ever removed, so the end is found in steps that double, and then halve.
std::uint64_t first_absent(Store& store, std::uint64_t known) {
    const auto is_there = [&](std::uint64_t number) { return store.find(names::cut(number)).has_value(); };
    std::uint64_t step = 1;
    std::uint64_t low = known;  // all below it are there
    while (is_there(low + step - 1)) {
        low += step;
        step *= 2;
    }
    std::uint64_t high = low + step - 1;  // is not there
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        if (is_there(middle))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

}  // namespace

std::optional<Replica> read_replica(Store& store, const Config& config, const std::optional<Replica>& known) {
    Replica out = known.value_or(Replica{});
    if (!known && !store.find(names::cut(0))) return std::nullopt;
    if (const auto bytes = store.read(names::promotion)) {
        const Mark mark = decode_mark(*bytes, config, MarkKind::promoted, 0, names::promotion);
        if (has(mark.role, Right::collect)) out.promoted = true;  // by others it says nothing
    }
    const std::uint64_t next = first_absent(store, out.next);
    if (next == out.next) return out;
    out.next = next;
    const std::string object = names::cut(next - 1);
    const auto bytes = store.read(object);
    if (!bytes) throw Error{Code::unreachable, "{} exists but cannot be read", object};
    Mark mark = decode_mark(*bytes, config, MarkKind::cut, next - 1, object);
    out.cut = std::move(mark.cut);
    out.time = mark.time;
    return out;
}

Created write_cut(Store& store, const Keyring& keys, ByteView credential, std::uint64_t number, const Cut& cut,
                  Nanoseconds time) {
    return store.create(names::cut(number), encode_mark(keys, credential, MarkKind::cut, number, cut, time));
}

Created write_promotion(Store& store, const Keyring& keys, ByteView credential, Nanoseconds time) {
    return store.create(names::promotion, encode_mark(keys, credential, MarkKind::promoted, 0, {}, time));
}

void ReplicaGuard::refuse() const {
    throw Error{Code::denied, "{} is a replica, and only `copy` writes to it", url()}
        .unharmed("nothing was written to it")
        .hint("Write to its origin. When that is lost for good, `holdfast promote` makes this an ordinary repository.");
}

Created ReplicaGuard::create(std::string_view name, ByteView bytes) {
    if (!lifted_) refuse();
    return inner().create(name, bytes);
}

void ReplicaGuard::remove(std::string_view name) {
    if (!lifted_) refuse();
    inner().remove(name);
}

}  // namespace holdfast::repo
