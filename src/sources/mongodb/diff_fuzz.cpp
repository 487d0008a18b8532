#include "base/error.h"
#include "sources/mongodb/diff.h"

// The first byte says how much of the rest is the document; what is left is the update.
void fuzz_mongodb_diff(holdfast::ByteView input) {
    if (input.empty()) return;
    const holdfast::ByteView rest = input.subspan(1);
    const std::size_t cut = std::min<std::size_t>(input[0], rest.size());
    try {
        holdfast::mongodb::check_document(rest.first(cut));
        const holdfast::Bytes out = holdfast::mongodb::apply_update(rest.first(cut), rest.subspan(cut));
        holdfast::mongodb::check_document(out);
    } catch (const holdfast::Error& error) {
        if (error.code() != holdfast::Code::corrupt) throw;
    }
}
