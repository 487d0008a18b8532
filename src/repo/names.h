// repo/names.h: the names of objects in a store. Sources, hosts and people appear nowhere in them.
#pragma once

#include <optional>
#include <string>

#include "repo/ids.h"

namespace holdfast::repo::names {

inline const std::string config = "config";
inline const std::string keys = "keys/";
inline const std::string data = "data/";
inline const std::string meta = "meta/";
inline const std::string state = "state/";
inline const std::string log = "log/";
inline const std::string journal = "journal/";
inline const std::string index = "index/";
inline const std::string checkpoints = "index/checkpoint-";
inline const std::string notes = "notes/";
inline const std::string collections = "gc/";
inline const std::string attestations = "attest/";
inline const std::string probes = "probe/";  // what `init` tries a store with
inline const std::string replica = "replica/";
inline const std::string promotion = "replica/promoted";

std::string number(std::uint64_t value);  // ten digits at least, so that listings sort
std::optional<std::uint64_t> parse_number(std::string_view text);

std::string key_slot(const SignerId& signer, std::uint64_t revision);
struct SlotName {
    SignerId signer;
    std::uint64_t revision = 0;
};
std::optional<SlotName> parse_key_slot(std::string_view object);
std::string log_entry(const SignerId& signer, std::uint32_t lane, std::uint64_t slot);
std::string fragment(const FragmentId& id);
std::string checkpoint(std::string_view day);
std::string attestation(const FragmentId& id);
std::string cut(std::uint64_t number);
std::string note(const SnapshotId& snapshot, std::uint64_t number);
std::string condemned(std::uint64_t gc_number);
std::string journal_of(std::uint64_t source_tag);  // a prefix
std::string segment(std::uint64_t source_tag, std::uint32_t lane, std::uint64_t number);
std::string segment_pack(std::uint64_t source_tag, std::uint32_t lane, std::uint64_t first, std::uint64_t last);
std::string verdict(std::uint64_t gc_number);

}  // namespace holdfast::repo::names
