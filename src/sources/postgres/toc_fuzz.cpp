#include "base/error.h"
#include "sources/postgres/toc.h"

void fuzz_postgres_toc(holdfast::ByteView input) {
    try {
        if (const auto toc = holdfast::postgres::read_toc(input)) {
            holdfast::postgres::hashes_of(*toc);
            holdfast::postgres::sequences_of(*toc);
        }
    } catch (const holdfast::Error&) {
    }
}
