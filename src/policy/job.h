// policy/job.h: what runs by itself: a job of the configuration. Plain data; names are those of the configuration.
//
// Units    nanoseconds; bytes; bytes a second
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/world.h"
#include "policy/criticality.h"
#include "policy/hooks.h"
#include "policy/retention.h"
#include "policy/schedule.h"

namespace holdfast::policy {

// Every snapshot that a job makes has this tag with the job's name: its retention is found by it.
constexpr std::string_view job_tag = "job";

// A proof is good from here on: below it nothing is restored.
constexpr std::uint8_t good_level = 3;

struct BackupTask {};
struct ProveTask {
    enum class Pick : std::uint8_t { latest, random };  // random: stratified by age
    Pick pick = Pick::latest;
    std::uint8_t level = 4;  // V0 to V4
    std::optional<std::uint64_t> bytes_max{};
    std::optional<Nanoseconds> time_max{};
    std::string to{};  // an environment that the newest is restored to and compared in; empty: a sandbox
};
struct ExportTask {
    std::string source;
    std::vector<std::string> as;        // formats of the source's kind, with ".gz" where that is gzipped: "sql.gz"
    std::string to;                     // a folder; "{date}" and "{time}" are those of the run
    std::optional<Nanoseconds> keep{};  // what is older goes; nothing: it stays
};
struct ForgetTask {};
struct PruneTask {};
struct CheckTask {
    bool read_data = false;
    std::optional<double> share{};             // with read_data: this part of the packs (0 to 1)
    std::optional<std::uint64_t> bytes_max{};  // with read_data: about this many bytes
};
// "V3"; nothing where there is no such level, or nothing proves it yet.
std::optional<std::uint8_t> parse_level(std::string_view text);
// "10%" or "5G".
std::optional<CheckTask> parse_read_data(std::string_view text);
// "sql" of "sql.gz".
std::string_view plain_format(std::string_view format);

using Task = std::variant<BackupTask, ProveTask, ExportTask, ForgetTask, PruneTask, CheckTask>;
std::string_view kind_of(const Task& task);  // "backup", "prove" …

enum class Concurrency : std::uint8_t { forbid, allow, replace };  // when it is due and still runs
enum class CatchUp : std::uint8_t { none, once, all };             // of due times while no daemon ran

struct Retries {
    std::uint32_t count = 0;
    Nanoseconds backoff = 60 * one_second;  // before the first retry; doubles with each
};

// Until a failed attempt (from 1) is made again.
Nanoseconds pause_after(const Retries& retries, int attempt);

struct Limits {
    std::optional<std::uint64_t> upload_bytes_per_second_max{};
    std::optional<double> load_max{};  // load average of the machine above which it does not start
};

// One set of rules, by the name that it has in `retention`; empty: it stands in the job itself.
struct NamedRetention {
    std::string name;
    Retention rules;
};

struct Job {
    std::string name;
    Task task;
    std::vector<std::string> sources;  // prove and forget: empty means all
    std::string repository;            // empty: the one that is no replica
    std::vector<std::string> copies;   // repositories that each snapshot is copied to, too
    std::map<std::string, std::string> tags;
    std::optional<NamedRetention> retention{};
    Criticality criticality = Criticality::normal;  // of the most critical source that it names

    std::optional<Schedule> schedule{};  // nothing: by hand, or whenever the jobs in `after` have all succeeded
    std::string timezone = "UTC";        // of schedule and allowed_hours
    std::vector<std::string> after;      // while one of these is due or runs, it waits; there is no circle
    std::optional<AllowedHours> allowed_hours{};
    Nanoseconds jitter_max = 0;
    CatchUp catch_up = CatchUp::once;
    Concurrency concurrency = Concurrency::forbid;
    Retries retries;
    std::optional<Nanoseconds> timeout{};        // of one attempt
    std::optional<Nanoseconds> overdue_after{};  // since its last success; nothing: what overdue_after() says
    Limits limits;
    Hooks hooks;
    std::string where;  // "holdfast.yaml:12:3"
};

// The longest time between two due times of the schedule; nothing when it is due less than twice. Looks at the 13 months
// after `from`, at least at ten due times.
std::optional<Nanoseconds> longest_gap(const Schedule& schedule, Nanoseconds from);
// How old the last success may get before the job counts as overdue: the longest gap and a quarter of it.
std::optional<Nanoseconds> overdue_after(const Job& job, Nanoseconds from);

}  // namespace holdfast::policy
