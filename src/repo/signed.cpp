#include "repo/signed.h"

#include "base/error.h"

namespace holdfast::repo {

namespace {

constexpr std::string_view magic = "HFSG";
constexpr std::uint8_t suite_ed25519 = 1;
constexpr std::string_view prefix = "holdfast signed object 1\n";  // keeps these signatures apart from any others

Bytes message_of(ByteView covered) {
    Bytes out = to_bytes(as_bytes(prefix));
    append(out, covered);
    return out;
}

}  // namespace

SignerId signer_id_of(const crypto::PublicKey& key) { return SignerId::from(crypto::sha256(key)); }

Bytes sign(SignedKind kind, const RepositoryId& repository, const crypto::SigningKey& author, ByteView payload) {
    Bytes out;
    ByteWriter writer(out);
    writer.raw(as_bytes(magic));
    writer.u8(suite_ed25519);
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.raw(repository.view());
    writer.raw(signer_id_of(author.public_key()).view());
    writer.raw(payload);
    const crypto::Signature signature = author.sign(message_of(out));
    writer.raw(signature);
    return out;
}

SignedView parse_signed(ByteView bytes, SignedKind kind, std::string_view what) {
    ByteReader reader(bytes, what);
    if (as_text(reader.raw(magic.size())) != magic) reader.fail("it does not begin as a signed object does");
    if (reader.u8() != suite_ed25519) reader.fail("it is signed in a way that this version does not know");
    if (reader.u8() != static_cast<std::uint8_t>(kind)) reader.fail("it is a signed object of another kind");
    SignedView view;
    view.repository = RepositoryId::from(reader.raw(RepositoryId::size));
    view.author = SignerId::from(reader.raw(SignerId::size));
    if (reader.left() < view.signature.size()) reader.fail("it ends before its signature");
    view.payload = reader.raw(reader.left() - view.signature.size());
    view.covered = bytes.first(reader.position());
    view.signature = reader.array<64>();
    return view;
}

void verify_signed(const SignedView& view, const crypto::PublicKey& author, const RepositoryId& repository,
                   std::string_view what) {
    if (view.repository != repository) throw Error{Code::corrupt, "{} belongs to another repository", what};
    if (view.author != signer_id_of(author) || !crypto::verify(author, message_of(view.covered), view.signature))
        throw Error{Code::corrupt, "the signature of {} does not verify", what}.hint(
            "Somebody without the key wrote it, or it is damaged; run `holdfast check`.");
}

}  // namespace holdfast::repo
