#include "base/error.h"
#include "source/facts.h"

// Facts, or corrupt; what parses comes back the same when it is written again.
void fuzz_source_facts(holdfast::ByteView input) {
    using namespace holdfast;
    try {
        const Bytes written = encode_facts(decode_facts(input));
        HF_ASSERT(equal(encode_facts(decode_facts(written)), written));
    } catch (const Error& error) {
        HF_ASSERT(error.code() == Code::corrupt);
    }
}
