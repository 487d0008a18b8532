#include "repo/collection.h"

#include "base/error.h"
#include "repo/names.h"

namespace holdfast::repo {

namespace {

SignedView open_signed(ByteView bytes, SignedKind kind, const Keyring& keys, const std::string& object) {
    const SignedView view = parse_signed(bytes, kind, object);
    keys.verify(view, object);
    if (!keys.may_collect(view.author))
        throw Error{Code::corrupt, "{} is by {}, who may not collect", object, view.author.short_hex()};
    return view;
}

}  // namespace

std::optional<Condemned> read_condemned(Store& store, const Keyring& keys, std::uint64_t number) {
    const std::string object = names::condemned(number);
    const auto bytes = store.read(object);
    if (!bytes) return std::nullopt;
    ByteReader reader(open_signed(*bytes, SignedKind::condemned, keys, object).payload, object);
    Condemned out;
    out.number = reader.varint();
    if (out.number != number) reader.fail("it belongs to another collection");
    const std::size_t count = reader.count(33);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t kind = reader.u8();
        if (kind < 1 || kind > 3) reader.fail("it names a pack of an unknown kind");
        out.packs.push_back({static_cast<PackKind>(kind), PackId::from(reader.raw(PackId::size))});
    }
    reader.expect_done();
    return out;
}

std::optional<CollectionVerdict> read_verdict(Store& store, const Keyring& keys, std::uint64_t number) {
    const std::string object = names::verdict(number);
    const auto bytes = store.read(object);
    if (!bytes) return std::nullopt;
    ByteReader reader(open_signed(*bytes, SignedKind::verdict, keys, object).payload, object);
    CollectionVerdict out;
    out.number = reader.varint();
    if (out.number != number) reader.fail("it belongs to another collection");
    const std::size_t count = reader.count(PackId::size);
    for (std::size_t i = 0; i < count; ++i) out.spared.push_back(PackId::from(reader.raw(PackId::size)));
    reader.expect_done();
    return out;
}

std::set<PackId> condemned_packs(Store& store, const Keyring& keys, std::uint64_t before, std::uint64_t last) {
    std::set<PackId> out;
    for (std::uint64_t n = before + 1; n <= last; ++n) {
        const auto condemned = read_condemned(store, keys, n);
        // A STAMP names it, so it exists; to take an absence for an empty set would lose data.
        if (!condemned)
            throw Error{Code::unreachable, "{} is named by the logs but cannot be read", names::condemned(n)};
        std::set<PackId> here;
        for (const PackRef& pack : condemned->packs) here.insert(pack.id);
        if (const auto verdict = read_verdict(store, keys, n))
            for (const PackId& spared : verdict->spared) here.erase(spared);
        out.merge(here);
    }
    return out;
}

}  // namespace holdfast::repo
