#include "base/error.h"
#include "sources/redis/commands.h"
#include "sources/redis/journal_form.h"
#include "sources/redis/record.h"
#include "sources/redis/replay.h"

// The first byte says in pieces of how many bytes the rest comes.
template <class Feed>
static void in_pieces(holdfast::ByteView input, const Feed& feed) {
    if (input.empty()) return;
    const std::size_t piece = 1U + input[0];
    for (input = input.subspan(1); !input.empty();) {
        const std::size_t some = std::min(piece, input.size());
        feed(input.first(some));
        input = input.subspan(some);
    }
}

void fuzz_redis_records(holdfast::ByteView input) {
    holdfast::redis::RecordSink sink;
    holdfast::redis::RecordReader reader(sink);
    try {
        in_pieces(input, [&](holdfast::ByteView piece) { reader.feed(piece); });
        reader.end();
    } catch (const holdfast::Error&) {
    }
}

void fuzz_redis_journal(holdfast::ByteView input) {
    const auto replay =
        holdfast::redis::replay_into_file({.from = {}, .until = {}, .until_before = {}}, 0, [](holdfast::ByteView) {});
    try {
        replay->begin_lane();
        in_pieces(input, [&](holdfast::ByteView piece) { replay->feed(piece); });
        replay->finish();
    } catch (const holdfast::Error&) {
    }
}
