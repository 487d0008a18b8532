// codec/compress.h: zstd, or not where it does not pay.
//
// Units    bytes
// Errors   corrupt from Decompressor when the frame is damaged, not exactly one, or larger than `bytes_max`;
//          newer_format for a codec that is not one of ours
// Threads  one Compressor or Decompressor a thread
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace holdfast::codec {

enum class Codec : std::uint8_t { stored = 0, zstd = 1 };  // numbers are part of the format

// How much work fewer bytes are worth. What is read back tells by itself how it was written.
enum class Compression : std::uint8_t { off, fast, balanced, small };
inline constexpr std::array<std::string_view, 4> compressions{"off", "fast", "balanced", "small"};
inline constexpr Compression usual_compression = Compression::balanced;
std::optional<Compression> compression_named(std::string_view name);

class Compressor {
public:
    explicit Compressor(Compression how = usual_compression);
    ~Compressor();
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;
    // Replaces `out` by a zstd frame (content size on, checksum off: the seal authenticates it) when that
    // saves at least 1/32 and compression is not off, else by the bytes as they are, and says which it is.
    Codec operator()(ByteView plain, Bytes& out);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

class Decompressor {
public:
    Decompressor();
    ~Decompressor();
    Decompressor(const Decompressor&) = delete;
    Decompressor& operator=(const Decompressor&) = delete;
    // Replaces `plain`. What the frame says of its size is checked before anything is allocated.
    void operator()(Codec codec, ByteView packed, std::size_t bytes_max, Bytes& plain);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::codec
