// repo/parts.h: two sealed parts of a signed record: R for maintenance, P for readers.
//
// Shape    list of (part, recipient, sealed key), sealed R, sealed P; the writer's own box opens R, too
// Errors   corrupt when a part does not authenticate
// Source   doc/format/snapshot.md
#pragma once

#include <optional>

#include "repo/keys.h"

namespace holdfast::repo {

void write_parts(ByteWriter& writer, const Keyring& keys, std::string_view purpose, ByteView reachable,
                 ByteView content, Random& random);

struct OpenedParts {  // a part that none of our keys opens is not there
    std::optional<Bytes> reachable;
    std::optional<Bytes> content;
};
OpenedParts read_parts(ByteReader& reader, const Keyring& keys, std::string_view purpose, std::string_view what);

}  // namespace holdfast::repo
