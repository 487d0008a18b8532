#include "repo/names.h"

#include <fmt/format.h>

#include <charconv>

namespace holdfast::repo::names {

std::string number(std::uint64_t value) { return fmt::format("{:010}", value); }

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size() || number(value) != text) return std::nullopt;
    return value;
}

std::string key_slot(const SignerId& signer, std::uint64_t revision) {
    return keys + signer.hex() + "-" + number(revision);
}
std::optional<SlotName> parse_key_slot(std::string_view object) {
    const std::size_t dash = object.find('-');
    if (!object.starts_with(keys) || dash == std::string_view::npos) return std::nullopt;
    const auto signer = SignerId::from_hex_text(object.substr(keys.size(), dash - keys.size()));
    const auto revision = parse_number(object.substr(dash + 1));
    if (!signer || !revision) return std::nullopt;
    return SlotName{*signer, *revision};
}
std::string log_entry(const SignerId& signer, std::uint32_t lane, std::uint64_t slot) {
    return fmt::format("{}{}/{}/{}", log, signer.hex(), lane, number(slot));
}
std::string fragment(const FragmentId& id) { return index + id.hex(); }
std::string checkpoint(std::string_view day) { return fmt::format("{}{}", checkpoints, day); }
std::string attestation(const FragmentId& id) { return attestations + id.hex(); }
std::string cut(std::uint64_t value) { return replica + number(value); }
std::string note(const SnapshotId& snapshot, std::uint64_t value) {
    return notes + snapshot.hex() + "/" + number(value);
}
std::string condemned(std::uint64_t gc_number) { return collections + number(gc_number) + "/condemned"; }
std::string journal_of(std::uint64_t source_tag) { return fmt::format("{}{:016x}/", journal, source_tag); }
std::string segment(std::uint64_t source_tag, std::uint32_t lane, std::uint64_t value) {
    return fmt::format("{}{}/{}", journal_of(source_tag), number(lane), number(value));
}
std::string segment_pack(std::uint64_t source_tag, std::uint32_t lane, std::uint64_t first, std::uint64_t last) {
    return fmt::format("{}{}/{}-{}", journal_of(source_tag), number(lane), number(first), number(last));
}
std::string verdict(std::uint64_t gc_number) { return collections + number(gc_number) + "/verdict"; }

}  // namespace holdfast::repo::names
