#include "base/error.h"
#include "codec/gunzip.h"
#include "codec/gzip.h"

namespace {

void read(holdfast::ByteView bytes, holdfast::Bytes& plain) {
    using namespace holdfast;
    codec::GzipReader reader([&](ByteView piece) { append(plain, piece); });
    reader.add(bytes);
    reader.finish();
}

}  // namespace

// Any bytes as a stream: corrupt, or some plaintext. And any bytes as plaintext: they come back, also when the stream
// comes in two pieces and two members.
void fuzz_gunzip(holdfast::ByteView input) {
    using namespace holdfast;
    try {
        Bytes plain;
        read(input, plain);
    } catch (const Error& error) {
        HF_ASSERT(error.code() == Code::corrupt);
    }
    Bytes packed;
    for (int member = 0; member < 2; ++member) {
        codec::GzipWriter writer(1, [&](ByteView piece) { append(packed, piece); });
        writer.add(input);
        writer.finish();
    }
    Bytes plain;
    codec::GzipReader reader([&](ByteView piece) { append(plain, piece); });
    reader.add(ByteView(packed).first(packed.size() / 3));
    reader.add(ByteView(packed).subspan(packed.size() / 3));
    reader.finish();
    HF_ASSERT(plain.size() == 2 * input.size());
    HF_ASSERT(equal(ByteView(plain).first(input.size()), input) && equal(ByteView(plain).subspan(input.size()), input));
}
