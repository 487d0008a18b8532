// app/config_keys.h: the keys of the configuration: those that this version builds, and those that the design
// knows and a later version builds.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace holdfast::app::config_keys {

using Names = std::span<const std::string_view>;

inline constexpr std::array<std::string_view, 7> top{"version", "repositories", "sources", "environments",
                                                     "jobs",    "retention",    "service"};
inline constexpr std::array<std::string_view, 5> top_planned{"services", "contacts", "escalation", "notify", "plans"};

inline constexpr std::array<std::string_view, 16> repository{
    "url",           "unlock", "endpoint", "region",     "profile", "encryption", "kms_key",    "site",
    "storage_class", "medium", "offsite",  "replica_of", "follow",  "max_lag",    "addressing", "compression"};
inline constexpr std::array<std::string_view, 2> addressing{"host", "path"};
inline constexpr std::array<std::string_view, 3> encryption{"AES256", "aws:kms", "aws:kms:dsse"};
inline constexpr std::array<std::string_view, 2> thawed_classes{"GLACIER", "DEEP_ARCHIVE"};  // read after hours only
inline constexpr std::array<std::string_view, 2> repository_planned{"lock", "storage"};

inline constexpr std::array<std::string_view, 3> unlock{"passphrase", "keyfile", "credential"};

inline constexpr std::array<std::string_view, 2> kinds_planned{"kubernetes", "bucket"};
inline constexpr std::array<std::string_view, 10> source_planned{
    "url", "method", "canary", "host", "port", "password", "databases", "context", "namespaces", "exclude_kinds"};

// Keys of every source, whatever its kind.
inline constexpr std::array<std::string_view, 7> every_source{"kind",       "component",   "checks", "hooks",
                                                              "objectives", "criticality", "domain"};
// … and of those that can be followed.
inline constexpr std::array<std::string_view, 2> followed_source{"follow", "window"};
inline constexpr std::array<std::string_view, 1> kinds_followed_later{"postgres"};
inline constexpr std::array<std::string_view, 2> objectives{"rpo", "rto"};
inline constexpr std::array<std::string_view, 6> check{"sql", "exec", "http", "expect", "timeout", "database"};
inline constexpr std::array<std::string_view, 3> hooks{"before", "after", "on_failure"};
inline constexpr std::array<std::string_view, 2> hook{"run", "timeout"};

inline constexpr std::array<std::string_view, 1> service{"ledger"};
inline constexpr std::array<std::string_view, 1> service_planned{"listen"};

// What makes a job another than a backup.
inline constexpr std::array<std::string_view, 5> tasks{"prove", "export", "forget", "prune", "check"};
inline constexpr std::array<std::string_view, 22> job{
    "prove",       "export",     "forget",   "prune",         "check",  "sources",       "repository", "copies",
    "tags",        "retention",  "schedule", "timezone",      "after",  "allowed_hours", "jitter",     "catch_up",
    "concurrency", "on_failure", "timeout",  "overdue_after", "limits", "hooks"};
inline constexpr std::array<std::string_view, 4> prove{"pick", "level", "budget", "to"};
inline constexpr std::array<std::string_view, 2> budget{"bytes", "time"};
inline constexpr std::array<std::string_view, 4> export_job{"source", "as", "to", "keep"};
inline constexpr std::array<std::string_view, 1> check_job{"read_data"};
inline constexpr std::array<std::string_view, 2> on_failure{"retry", "backoff"};
inline constexpr std::array<std::string_view, 2> limits{"upload", "load"};
inline constexpr std::array<std::string_view, 3> catch_up{"none", "once", "all"};            // as policy::CatchUp
inline constexpr std::array<std::string_view, 3> concurrency{"forbid", "allow", "replace"};  // as policy::Concurrency
inline constexpr std::array<std::string_view, 2> pick{"latest", "random"};  // as policy::ProveTask::Pick
inline constexpr std::array<std::string_view, 10> retention{"last",   "hourly", "daily", "weekly",         "monthly",
                                                            "yearly", "within", "tags",  "keep_last_good", "window"};

// Options of sources whose values are paths; relative ones begin at the folder of the configuration file.
inline constexpr std::array<std::string_view, 3> path_options{"paths", "exclude_from", "bin_dir"};

}  // namespace holdfast::app::config_keys
