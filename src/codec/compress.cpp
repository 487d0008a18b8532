#include "codec/compress.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast::codec {

namespace {

void check(std::size_t result, std::string_view what) {
    if (ZSTD_isError(result) != 0) throw Error{Code::internal, "zstd cannot {}: {}", what, ZSTD_getErrorName(result)};
}

// Exactly one frame, of today's format (libzstd also reads old ones and skips unknown ones), that says how
// many bytes it holds, not more than `bytes_max`.
std::size_t content_bytes(ByteView frame, std::size_t bytes_max) {
    constexpr std::array<std::uint8_t, 4> magic{0x28, 0xb5, 0x2f, 0xfd};
    if (frame.size() < magic.size() || !equal(frame.first(magic.size()), magic))
        throw Error{Code::corrupt, "compressed bytes do not begin as a zstd frame"};
    const unsigned long long bytes = ZSTD_getFrameContentSize(frame.data(), frame.size());
    if (bytes == ZSTD_CONTENTSIZE_ERROR || bytes == ZSTD_CONTENTSIZE_UNKNOWN)
        throw Error{Code::corrupt, "a zstd frame does not say how many bytes it holds"};
    if (bytes > bytes_max)
        throw Error{Code::corrupt, "a zstd frame holds {} bytes where at most {} can be", bytes, bytes_max};
    const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
    if (frame_bytes != frame.size())
        throw Error{Code::corrupt, "{} compressed bytes are not one zstd frame", frame.size()};
    return static_cast<std::size_t>(bytes);
}

}  // namespace

struct Compressor::Impl {
    struct Free {
        void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    };
    void set(ZSTD_cParameter parameter, int value) const {
        check(ZSTD_CCtx_setParameter(context.get(), parameter, value), "be set up");
    }

    std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
    Compression how = usual_compression;
};

std::optional<Compression> compression_named(std::string_view name) {
    const auto at = std::ranges::find(compressions, name);
    if (at == compressions.end()) return std::nullopt;
    return static_cast<Compression>(at - compressions.begin());
}

// Short matches are rarely far away: their table has 4 KB, which stays in the nearest cache, and the one of long ones 256 KB.
// doc/benchmarks.md compares the choices.
Compressor::Compressor(Compression how) : impl_(std::make_unique<Impl>()) {
    if (!impl_->context) throw Error{Code::failed, "out of memory"};
    impl_->how = how;
    switch (how) {
        case Compression::off:
            break;
        case Compression::fast:
            impl_->set(ZSTD_c_compressionLevel, 1);
            impl_->set(ZSTD_c_strategy, ZSTD_fast);
            impl_->set(ZSTD_c_hashLog, 14);
            impl_->set(ZSTD_c_minMatch, 6);
            impl_->set(ZSTD_c_targetLength, 1);
            break;
        case Compression::balanced:
            impl_->set(ZSTD_c_compressionLevel, 3);
            impl_->set(ZSTD_c_chainLog, 10);
            impl_->set(ZSTD_c_hashLog, 16);
            impl_->set(ZSTD_c_minMatch, 5);
            break;
        case Compression::small:
            impl_->set(ZSTD_c_compressionLevel, 9);
            break;
    }
    impl_->set(ZSTD_c_contentSizeFlag, 1);
    impl_->set(ZSTD_c_checksumFlag, 0);
}
Compressor::~Compressor() = default;

Codec Compressor::operator()(ByteView plain, Bytes& out) {
    if (impl_->how == Compression::off) {
        out.assign(plain.begin(), plain.end());
        return Codec::stored;
    }
    // No room for more than what pays: zstd itself then says that it does not.
    out.resize(plain.size() - plain.size() / 32);
    const std::size_t packed = ZSTD_compress2(impl_->context.get(), out.data(), out.size(), plain.data(), plain.size());
    if (ZSTD_isError(packed) == 0 && packed < plain.size()) {
        out.resize(packed);
        return Codec::zstd;
    }
    if (ZSTD_isError(packed) != 0 && ZSTD_getErrorCode(packed) != ZSTD_error_dstSize_tooSmall)
        check(packed, "compress");
    out.assign(plain.begin(), plain.end());
    return Codec::stored;
}

struct Decompressor::Impl {
    struct Free {
        void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context{ZSTD_createDCtx()};
};

Decompressor::Decompressor() : impl_(std::make_unique<Impl>()) {
    if (!impl_->context) throw Error{Code::failed, "out of memory"};
}
Decompressor::~Decompressor() = default;

void Decompressor::operator()(Codec codec, ByteView packed, std::size_t bytes_max, Bytes& plain) {
    if (codec == Codec::stored) {
        if (packed.size() > bytes_max)
            throw Error{Code::corrupt, "{} bytes are stored where at most {} can be", packed.size(), bytes_max};
        plain.assign(packed.begin(), packed.end());
        return;
    }
    if (codec != Codec::zstd)
        throw Error{Code::newer_format, "codec {} is not one this version knows", static_cast<int>(codec)};

    plain.resize(content_bytes(packed, bytes_max));
    const std::size_t written =
        ZSTD_decompressDCtx(impl_->context.get(), plain.data(), plain.size(), packed.data(), packed.size());
    if (ZSTD_isError(written) != 0)
        throw Error{Code::corrupt, "a zstd frame of {} bytes is damaged: {}", packed.size(),
                    ZSTD_getErrorName(written)};
    if (written != plain.size())
        throw Error{Code::corrupt, "a zstd frame holds {} bytes, not the {} it names", written, plain.size()};
}

}  // namespace holdfast::codec
