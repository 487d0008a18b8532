#include "repo/credential_file.h"

#include "base/error.h"
#include "base/text.h"

namespace holdfast::repo {

namespace {

constexpr std::string_view first_line = "holdfast credential 1\n";

// The bytes of "NAME HEX\n", which is taken off the text.
Bytes take_line(std::string_view& text, std::string_view name, std::size_t size) {
    const std::size_t end = text.find('\n');
    if (end != std::string_view::npos && text.starts_with(name)) {
        if (auto bytes = from_hex(text.substr(name.size(), end - name.size())); bytes && bytes->size() == size) {
            text.remove_prefix(end + 1);
            return std::move(*bytes);
        }
    }
    throw Error{Code::config, "the credential file is cut or changed"}
        .unharmed("nothing was read or written")
        .hint("Take it from where you keep copies, or make another with `holdfast key add --new-credential FILE`.");
}

}  // namespace

Bytes identity_of(const Config& config) {
    Bytes out;
    ByteWriter writer(out);
    writer.raw(config.family.view());
    writer.raw(config.root);
    return out;
}

Secret credential_file(const Config& config, const SignerId& signer, const Secret& key) {
    return Secret(as_bytes(fmt::format("{}repository {}\nslot {}\nkey {}\n", first_line, to_hex(identity_of(config)),
                                       signer.hex(), to_hex(key.reveal()))));
}

std::optional<Unlock> read_credential_file(ByteView file) {
    std::string_view text = as_text(file);
    if (!text.starts_with(first_line)) return std::nullopt;
    text.remove_prefix(first_line.size());
    KnownSlot known;
    known.identity = take_line(text, "repository ", identity_of(Config{}).size());
    known.signer = *SignerId::from_hex_text(to_hex(take_line(text, "slot ", sizeof(SignerId))));
    return Unlock{Unlock::Way::keyfile, Secret(take_line(text, "key ", credential_key_bytes)), std::move(known)};
}

}  // namespace holdfast::repo
