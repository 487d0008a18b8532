#include "repo/parts.h"

#include "base/error.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t part_content = 1;
constexpr std::uint8_t part_reachable = 2;

struct Recipient {
    std::uint8_t part;
    const crypto::PublicKey& key;
};

}  // namespace

void write_parts(ByteWriter& writer, const Keyring& keys, std::string_view purpose, ByteView reachable,
                 ByteView content, Random& random) {
    const Secret content_key(random.array<crypto::key_bytes>());
    const Secret reachable_key(random.array<crypto::key_bytes>());
    const Config& config = keys.config();
    const std::array recipients{Recipient{part_content, config.reader}, Recipient{part_reachable, config.reader},
                                Recipient{part_reachable, config.maintainer},
                                Recipient{part_reachable, keys.own().box}};
    writer.varint(recipients.size());
    for (const Recipient& recipient : recipients) {
        const Secret& key = recipient.part == part_content ? content_key : reachable_key;
        writer.u8(recipient.part);
        writer.raw(recipient.key);
        writer.string(crypto::seal_to(recipient.key, purpose, key.reveal(), random));
    }
    writer.string(crypto::seal(reachable_key, keys.repository().view(), reachable));
    writer.string(crypto::seal(content_key, keys.repository().view(), content));
}

OpenedParts read_parts(ByteReader& reader, const Keyring& keys, std::string_view purpose, std::string_view what) {
    std::array<std::optional<Secret>, 3> part_key;
    std::vector<const crypto::BoxKey*> ours{&keys.secrets().box};
    if (keys.secrets().reader) ours.push_back(&*keys.secrets().reader);
    if (keys.secrets().maintainer) ours.push_back(&*keys.secrets().maintainer);
    const std::size_t recipients = reader.count(34);
    for (std::size_t i = 0; i < recipients; ++i) {
        const std::uint8_t part = reader.u8();
        const auto recipient = reader.array<32>();
        const ByteView sealed = reader.string_view();
        if (part != part_content && part != part_reachable) continue;
        for (const crypto::BoxKey* box : ours)
            if (!part_key[part] && box->public_key() == recipient) part_key[part] = box->open(purpose, sealed);
    }
    const ByteView reachable = reader.string_view();
    const ByteView content = reader.string_view();
    const auto open = [&](const std::optional<Secret>& key, ByteView sealed) -> std::optional<Bytes> {
        if (!key) return std::nullopt;
        auto plain = crypto::open(*key, keys.repository().view(), sealed);
        if (!plain) throw Error{Code::corrupt, "a part of {} does not authenticate", what};
        return plain;
    };
    return {open(part_key[part_reachable], reachable), open(part_key[part_content], content)};
}

}  // namespace holdfast::repo
