// base/bytes.h: runs of bytes, big- and little-endian numbers in them, hex.
//
// Shape    Bytes owns, ByteView looks; both count bytes
// Errors   corrupt from ByteReader when the input is shorter than what is asked of it
// Threads  values; no sharing
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// An allocator whose resize() does not write zeros that the next line overwrites.
template <class T>
struct UninitializedAllocator : std::allocator<T> {
    template <class U>
    struct rebind {
        using other = UninitializedAllocator<U>;
    };
    template <class U>
    void construct(U* at) noexcept {
        ::new (static_cast<void*>(at)) U;
    }
    template <class U, class... Args>
    void construct(U* at, Args&&... args) {
        ::new (static_cast<void*>(at)) U(std::forward<Args>(args)...);
    }
};

using Bytes = std::vector<std::uint8_t, UninitializedAllocator<std::uint8_t>>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
// Twice the room, by memcpy; a vector that grows by itself goes byte by byte through the allocator.
void grow(Bytes& bytes, std::size_t least);
// memcpy, where vector::insert would go byte by byte through the allocator. `bytes` is not of `to`.
inline void append(Bytes& to, ByteView bytes) {
    const std::size_t at = to.size();
    if (bytes.size() > to.capacity() - at) grow(to, at + bytes.size());
    to.resize(at + bytes.size());
    if (!bytes.empty()) std::memcpy(to.data() + at, bytes.data(), bytes.size());
}
inline Bytes to_bytes(ByteView bytes) {
    Bytes out;
    append(out, bytes);
    return out;
}
inline bool equal(ByteView a, ByteView b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

std::string to_hex(ByteView bytes);
std::optional<Bytes> from_hex(std::string_view hex);  // nothing when a digit is not one or their number is odd
std::string to_base64(ByteView bytes);

// Appends numbers (little-endian, or varint as LEB128) and length-prefixed strings to a buffer.
class ByteWriter {
public:
    explicit ByteWriter(Bytes& out) : out_(out) {}
    void u8(std::uint8_t value) { out_.push_back(value); }
    void u16(std::uint16_t value) { little_endian(value, 2); }
    void u32(std::uint32_t value) { little_endian(value, 4); }
    void u64(std::uint64_t value) { little_endian(value, 8); }
    void varint(std::uint64_t value);
    void zigzag(std::int64_t value);  // varint of a signed number
    void raw(ByteView bytes) { append(out_, bytes); }
    void string(std::string_view text);  // varint length, bytes
    void string(ByteView bytes) { string(as_text(bytes)); }
    std::size_t size() const { return out_.size(); }

private:
    void little_endian(std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
    Bytes& out_;
};

// Reads what ByteWriter wrote. Every read is checked; `what` names the thing in the message.
class ByteReader {
public:
    ByteReader(ByteView bytes, std::string_view what) : bytes_(bytes), what_(what) {}
    std::uint8_t u8() { return take(1)[0]; }
    std::uint16_t u16() { return static_cast<std::uint16_t>(little_endian(2)); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(little_endian(4)); }
    std::uint64_t u64() { return little_endian(8); }
    std::uint64_t varint();
    std::int64_t zigzag();
    ByteView raw(std::size_t count) { return take(count); }
    ByteView string_view();
    std::string string() { return std::string(as_text(string_view())); }
    // A count that is about to size a loop or an allocation: refused when fewer than `bytes_each` bytes a
    // piece are left, so a damaged count cannot ask for all memory.
    std::size_t count(std::size_t bytes_each);
    template <std::size_t N>
    std::array<std::uint8_t, N> array() {
        std::array<std::uint8_t, N> out;
        std::memcpy(out.data(), take(N).data(), N);
        return out;
    }
    std::size_t left() const { return bytes_.size() - at_; }
    std::size_t position() const { return at_; }
    bool done() const { return left() == 0; }
    void expect_done() const;
    [[noreturn]] void fail(std::string_view why) const;

private:
    ByteView take(std::size_t count) {
        if (count > left()) too_short(count);
        const ByteView out = bytes_.subspan(at_, count);
        at_ += count;
        return out;
    }
    [[noreturn]] void too_short(std::size_t wanted) const;
    std::uint64_t little_endian(int bytes) {
        const ByteView in = take(static_cast<std::size_t>(bytes));
        std::uint64_t value = 0;
        for (int i = bytes - 1; i >= 0; --i) value = value << 8 | in[static_cast<std::size_t>(i)];
        return value;
    }
    ByteView bytes_;
    std::string_view what_;
    std::size_t at_ = 0;
};

// Ids of N bytes; different Tags are different types, so one cannot be passed for another.
template <class Tag, std::size_t N>
struct Id {
    std::array<std::uint8_t, N> bytes{};

    static constexpr std::size_t size = N;
    static Id from(ByteView view) {
        Id id;
        std::memcpy(id.bytes.data(), view.data(), std::min(N, view.size()));
        return id;
    }
    static std::optional<Id> from_hex_text(std::string_view hex) {
        const auto raw = from_hex(hex);
        if (!raw || raw->size() != N) return std::nullopt;
        return from(*raw);
    }
    ByteView view() const { return bytes; }
    std::string hex() const { return to_hex(bytes); }
    std::string short_hex() const { return hex().substr(0, 8); }
    auto operator<=>(const Id&) const = default;
    bool is_zero() const { return *this == Id{}; }
};

// Ids are keyed hashes or random, so their first bytes are a hash already.
struct IdHash {
    template <class Tag, std::size_t N>
    std::size_t operator()(const Id<Tag, N>& id) const {
        std::size_t value;
        std::memcpy(&value, id.bytes.data(), sizeof value);
        return value;
    }
};

}  // namespace holdfast
