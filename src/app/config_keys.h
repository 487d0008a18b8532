// app/config_keys.h: the keys of the configuration: those that this version builds, and those that the design
// knows and a later version builds.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace holdfast::app::config_keys {

using Names = std::span<const std::string_view>;

inline constexpr std::array<std::string_view, 4> top{"version", "repositories", "sources", "environments"};
inline constexpr std::array<std::string_view, 8> top_planned{"services",   "jobs",   "retention", "contacts",
                                                             "escalation", "notify", "service",   "plans"};

inline constexpr std::array<std::string_view, 4> repository{"url", "unlock", "endpoint", "region"};
inline constexpr std::array<std::string_view, 6> repository_planned{"site",       "medium", "offsite",
                                                                    "replica_of", "lock",   "storage"};

inline constexpr std::array<std::string_view, 2> unlock{"passphrase", "keyfile"};
inline constexpr std::array<std::string_view, 1> unlock_planned{"credential"};

inline constexpr std::array<std::string_view, 2> kinds_planned{"kubernetes", "bucket"};
inline constexpr std::array<std::string_view, 12> source_planned{
    "url",      "method",    "canary",  "criticality", "host",          "port",
    "password", "databases", "context", "namespaces",  "exclude_kinds", "component"};

// Keys of every source, whatever its kind.
inline constexpr std::array<std::string_view, 4> every_source{"kind", "checks", "hooks", "objectives"};
// … and of those that can be followed.
inline constexpr std::array<std::string_view, 2> followed_source{"follow", "window"};
inline constexpr std::array<std::string_view, 1> objectives{"rpo"};
inline constexpr std::array<std::string_view, 1> objectives_planned{"rto"};
inline constexpr std::array<std::string_view, 6> check{"sql", "exec", "http", "expect", "timeout", "database"};
inline constexpr std::array<std::string_view, 3> hooks{"before", "after", "on_failure"};

// Options of sources whose values are paths; relative ones begin at the folder of the configuration file.
inline constexpr std::array<std::string_view, 3> path_options{"paths", "exclude_from", "bin_dir"};

}  // namespace holdfast::app::config_keys
