#include "base/error.h"
#include "sources/mongodb/archive.h"

void fuzz_mongodb_archive(holdfast::ByteView input) {
    struct Ignore final : holdfast::mongodb::ArchiveReader::Sink {
        void collection(const holdfast::mongodb::Collection&) override {}
        void document(const holdfast::mongodb::Namespace&, holdfast::ByteView) override {}
        void end(const holdfast::mongodb::Namespace&) override {}
    } sink;
    try {
        holdfast::mongodb::ArchiveReader reader(sink);
        const std::size_t half = input.size() / 2;
        reader.feed(input.first(half));
        reader.feed(input.subspan(half));
        reader.finish();
    } catch (const holdfast::Error& error) {
        if (error.code() != holdfast::Code::corrupt) throw;
    }
}
