#include "repo/attestation.h"

#include "base/error.h"
#include "repo/names.h"
#include "store/read_many.h"

namespace holdfast::repo {

namespace {

bool is_believed(ByteView bytes, const Keyring& keys, const FragmentId& fragment) {
    const std::string object = names::attestation(fragment);
    const SignedView view = parse_signed(bytes, SignedKind::attestation, object);
    keys.verify(view, object);
    ByteReader reader(view.payload, object);
    const bool same = FragmentId::from(reader.raw(FragmentId::size)) == fragment;
    reader.expect_done();
    return same && keys.may(view.author, Right::read);
}

}  // namespace

std::set<FragmentId> read_attestations(const Repository& repository) {
    const Keyring& keys = repository.keys();
    std::vector<FragmentId> wanted;
    std::vector<std::string> objects;
    for (const KnownFragment& known : repository.log().fragments()) {
        if (keys.trusts_chunks_of(known.author)) continue;
        wanted.push_back(known.body.id);
        objects.push_back(names::attestation(known.body.id));
    }
    const auto found = read_many(repository.store(), objects);
    std::set<FragmentId> out;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (!found[i]) continue;
        try {
            if (is_believed(*found[i], keys, wanted[i])) out.insert(wanted[i]);
        } catch (const Error& error) {
            repository.world().log.warning(error.message());
        }
    }
    return out;
}

void write_attestation(const Repository& repository, const FragmentId& fragment) {
    const Keyring& keys = repository.keys();
    Bytes payload;
    ByteWriter(payload).raw(fragment.view());
    repository.store().create(names::attestation(fragment),
                              sign(SignedKind::attestation, keys.repository(), keys.secrets().signer, payload));
}

Believed::Believed(const Repository& repository) : keys_(repository.keys()), attested_(read_attestations(repository)) {}

bool Believed::operator()(const Fragment& fragment) const {
    const KnownFragment& known = fragment.known();
    return keys_.may_collect(known.author) || attested_.contains(known.body.id);
}

}  // namespace holdfast::repo
