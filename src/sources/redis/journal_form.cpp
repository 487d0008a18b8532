#include "sources/redis/journal_form.h"

#include "base/error.h"

namespace holdfast::redis {

namespace {

constexpr std::uint8_t kind_stretch = 1;
constexpr std::uint8_t kind_line = 2;
constexpr std::uint8_t kind_jump = 3;
constexpr std::uint8_t kind_dark = 4;
constexpr std::size_t dark_bytes = 1 + 8;
constexpr std::size_t jump_bytes = 1 + 8 + 8;
constexpr std::size_t stretch_head_bytes = 1 + 8 + 8 + 4 + 8;
constexpr std::size_t line_bytes_max = 255;

}  // namespace

void append_line(Bytes& out, const std::string& line) {
    ByteWriter writer(out);
    writer.u8(kind_line);
    writer.u8(static_cast<std::uint8_t>(std::min(line.size(), line_bytes_max)));
    writer.raw(as_bytes(line).first(std::min(line.size(), line_bytes_max)));
}

void append_jump(Bytes& out, std::uint64_t end, std::uint64_t begin) {
    ByteWriter writer(out);
    writer.u8(kind_jump);
    writer.u64(end);
    writer.u64(begin);
}

void append_dark(Bytes& out, Nanoseconds from) {
    ByteWriter writer(out);
    writer.u8(kind_dark);
    writer.u64(static_cast<std::uint64_t>(from));
}

void append_stretch(Bytes& out, const Stretch& stretch) {
    ByteWriter writer(out);
    writer.u8(kind_stretch);
    writer.u64(stretch.begin);
    writer.u64(stretch.end);
    writer.u32(stretch.database);
    writer.u64(static_cast<std::uint64_t>(stretch.time));
}

void JournalReader::begin_lane() {
    held_.clear();
    if (std::exchange(in_stretch_, false)) sink_.void_stretch();
}

bool JournalReader::feed(ByteView bytes) {
    while (!is_over_) {
        if (in_stretch_) {
            const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
            if (some > 0) sink_.stretch_bytes(bytes.first(some));
            bytes = bytes.subspan(some);
            left_ -= some;
            if (left_ > 0) return true;
            in_stretch_ = false;
            sink_.end_stretch(stretch_);
        }
        if (bytes.empty()) return true;
        const std::size_t wanted = held_.empty()              ? 1
                                   : held_[0] == kind_stretch ? stretch_head_bytes
                                   : held_[0] == kind_jump    ? jump_bytes
                                   : held_[0] == kind_dark    ? dark_bytes
                                   : held_.size() < 2         ? 2
                                                              : 2U + held_[1];
        const std::size_t some = std::min(bytes.size(), wanted - held_.size());
        append(held_, bytes.first(some));
        bytes = bytes.subspan(some);
        if (held_[0] < kind_stretch || held_[0] > kind_dark)
            throw Error{Code::corrupt, "a record of a Redis journal is of an unknown kind {}", held_[0]};
        if (held_[0] == kind_line) {
            if (held_.size() < 2 || held_.size() < 2U + held_[1]) continue;
            sink_.line(std::string(as_text(held_).substr(2)));
            held_.clear();
            continue;
        }
        if (held_[0] == kind_jump) {
            if (held_.size() < jump_bytes) continue;
            ByteReader jump(held_, "a Redis journal");
            jump.u8();
            const std::uint64_t end = jump.u64();
            sink_.jump(end, jump.u64());
            held_.clear();
            continue;
        }
        if (held_[0] == kind_dark) {
            if (held_.size() < dark_bytes) continue;
            ByteReader dark(held_, "a Redis journal");
            dark.u8();
            sink_.dark(static_cast<Nanoseconds>(dark.u64()));
            held_.clear();
            continue;
        }
        if (held_.size() < stretch_head_bytes) continue;
        ByteReader in(held_, "a Redis journal");
        in.u8();
        stretch_ = {in.u64(), in.u64(), in.u32(), static_cast<Nanoseconds>(in.u64())};
        if (stretch_.end < stretch_.begin) in.fail("a stretch ends before it begins");
        held_.clear();
        left_ = stretch_.end - stretch_.begin;
        in_stretch_ = true;
        is_over_ = !sink_.begin_stretch(stretch_);
    }
    return false;
}

}  // namespace holdfast::redis
