#include "app/config_jobs.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

namespace keys = config_keys;

class JobReader : YamlReader {
public:
    JobReader(std::span<const SourceType* const> types, ParsedConfig& out)
        : YamlReader(out.config.path, out.problems), types_(types), config_(out.config) {}

    void read(const JobSections& sections) {
        if (sections.retention.IsDefined())
            read_named(sections.retention, "retention",
                       [&](const auto& name, const auto& at, const auto& value) { read_retention(name, at, value); });
        if (!sections.jobs.IsDefined()) return;
        read_named(sections.jobs, "jobs",
                   [&](const auto& name, const auto& at, const auto& value) { read_job(name, at, value); });
        for (const auto& [job, node] : after_) check_after(job, node);
        check_order(sections.jobs);
    }

private:
    // How `key` of a job is called in messages.
    static std::string of(const std::string& key, const std::string& what) {
        return fmt::format("`{}` of {}", key, what);
    }

    void read_retention(const std::string& name, const YAML::Node& at, const YAML::Node& value) {
        const std::string what = fmt::format("retention `{}`", name);
        if (policy::retention_class(name)) {
            problem(at, fmt::format("{} is one that everybody has", what), "Choose another name.");
            return;
        }
        if (const auto rules = rules_of(value, at, what)) config_.retention.push_back({name, *rules, place(at)});
    }

    std::optional<policy::Retention> rules_of(const YAML::Node& node, const YAML::Node& at, const std::string& what) {
        if (!is_map(node, at, what, "Write `{daily: 30, weekly: 12}`.")) return std::nullopt;
        const std::size_t problems_before = problem_count();
        policy::Retention out;
        read_map(node, what, keys::retention, {},
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     const std::string name = of(key, what);
                     if (key == "within") {
                         out.within = duration(value, name);
                     } else if (key == "window") {
                         out.window = duration(value, name);
                     } else if (key == "tags") {
                         out.tags = texts(value, name);
                     } else if (const auto number = count(value, name)) {
                         out.*field_of(key) = *number;
                     }
                 });
        if (problem_count() != problems_before) return std::nullopt;
        if (!out.empty()) return out;
        problem(node, fmt::format("{} keeps nothing", what), "Write what is kept, such as `daily: 30`.");
        return std::nullopt;
    }

    static std::uint32_t policy::Retention::*field_of(std::string_view key) {
        using policy::Retention;
        return key == "last"      ? &Retention::last
               : key == "hourly"  ? &Retention::hourly
               : key == "daily"   ? &Retention::daily
               : key == "weekly"  ? &Retention::weekly
               : key == "monthly" ? &Retention::monthly
               : key == "yearly"  ? &Retention::yearly
                                  : &Retention::last_good;
    }

    void read_job(const std::string& name, const YAML::Node& at, const YAML::Node& value) {
        const std::string what = fmt::format("job `{}`", name);
        if (!is_map(value, at, what, "Write `nightly: {sources: [uploads], schedule: \"0 2 * * *\"}`.")) return;
        policy::Job job;
        job.name = name;
        job.where = place(at);
        std::vector<std::string> tasks;
        read_map(value, what, keys::job, {},
                 [&](const std::string& key, const YAML::Node& key_at, const YAML::Node& member) {
                     if (std::ranges::find(keys::tasks, key) != keys::tasks.end()) {
                         tasks.push_back(key);
                         if (tasks.size() == 1) read_task(key, member, of(key, what), job);
                         if (tasks.size() == 2)
                             problem(key_at, fmt::format("{} has both `{}` and `{}`", what, tasks[0], key),
                                     "Make two jobs of it; `after` puts them in order.");
                     } else if (!read_target(key, member, of(key, what), job)) {
                         read_timing(key, member, of(key, what), job);
                     }
                 });
        read_schedule(value, what, job);
        check_job(at, value, what, job);
        job.criticality = criticality_of(job);
        config_.jobs.push_back(std::move(job));
    }

    void read_task(const std::string& key, const YAML::Node& node, const std::string& what, policy::Job& job) {
        if (!is_map(node, node, what, fmt::format("Write `{}: {{}}`.", key))) return;
        if (key == "prove") {
            job.task = read_prove(node, what);
        } else if (key == "export") {
            job.task = read_export(node, what);
        } else if (key == "check") {
            job.task = read_check(node, what);
        } else {
            if (key == "forget")
                job.task = policy::ForgetTask{};
            else
                job.task = policy::PruneTask{};
            for (const auto& pair : node)
                problem(pair.first, fmt::format("{} has no keys", what), fmt::format("Write `{}: {{}}`.", key));
        }
    }

    policy::ProveTask read_prove(const YAML::Node& node, const std::string& what) {
        policy::ProveTask out;
        read_map(node, what, keys::prove, {}, [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
            if (key == "pick") {
                if (const auto pick = choice(value, of(key, what), keys::pick))
                    out.pick = static_cast<policy::ProveTask::Pick>(*pick);
            } else if (key == "level") {
                const auto given = text(value, of(key, what));
                const auto level = given ? policy::parse_level(*given) : std::nullopt;
                if (given && !level)
                    problem(value, fmt::format("{} must be a level of proof, not `{}`", of(key, what), *given),
                            "There is V0 to V4.");
                out.level = level.value_or(out.level);
            } else if (key == "to") {
                out.to = known(config_.environments, "environment", text(value, of(key, what)).value_or(""), value,
                               of(key, what));
            } else if (is_map(value, value, of(key, what), "Write `budget: {bytes: 50G, time: 2h}`.")) {
                read_map(value, of(key, what), keys::budget, {},
                         [&](const std::string& part, const YAML::Node&, const YAML::Node& limit) {
                             if (part == "bytes")
                                 out.bytes_max = size(limit, of(part, of(key, what)));
                             else
                                 out.time_max = duration(limit, of(part, of(key, what)));
                         });
            }
        });
        if (!out.to.empty())
            for (const char* key : {"pick", "level", "budget"})
                if (node[key])
                    problem(node[key], fmt::format("{} has `to`, so it has no `{}`", what, key),
                            "An environment gets the newest snapshot, compared as after every `restore`.");
        return out;
    }

    policy::CheckTask read_check(const YAML::Node& node, const std::string& what) {
        policy::CheckTask out;
        read_map(node, what, keys::check_job, {},
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     const auto given = text(value, of(key, what));
                     if (!given) return;
                     if (const auto task = policy::parse_read_data(*given)) {
                         out = *task;
                     } else if (const auto all = flag(value, of(key, what) + " (or a share or size)")) {
                         out.read_data = *all;
                     }
                 });
        return out;
    }

    policy::ExportTask read_export(const YAML::Node& node, const std::string& what) {
        policy::ExportTask out;
        YAML::Node formats{YAML::NodeType::Undefined};
        read_map(
            node, what, keys::export_job, {}, [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                if (key == "as") {
                    out.as = texts(value, of(key, what));
                    formats.reset(value);
                } else if (key == "keep") {
                    out.keep = duration(value, of(key, what));
                } else if (const auto given = text(value, of(key, what))) {
                    if (key == "source")
                        out.source = known_source(*given, value, of(key, what));
                    else if (given->find("://") != std::string::npos)
                        problem(value, fmt::format("{} must be a folder, not a URL", of(key, what)),
                                "Dumps are files of this machine; what lies off-site is a repository in `copies`.");
                    else
                        out.to = absolute(*given);
                }
            });
        for (const auto& [key, value] : {std::pair{"source", &out.source}, std::pair{"to", &out.to}})
            if (value->empty() && !node[key])
                problem(node, fmt::format("{} has no `{}`", what, key),
                        "Write `export: {source: orders-db, as: [custom], to: \"/srv/dumps/{date}\"}`.");
        check_formats(out, formats, node, what);
        return out;
    }

    void check_formats(const policy::ExportTask& task, const YAML::Node& formats, const YAML::Node& node,
                       const std::string& what) {
        const SourceConfig* const source = config_.source(task.source);
        if (source == nullptr) return;
        const auto type = std::ranges::find(types_, source->kind, &SourceType::kind);
        const keys::Names known = (*type)->export_formats;
        if (known.empty()) {
            problem(node, fmt::format("{}: sources of kind `{}` have no formats to export", what, source->kind),
                    "`restore --to FOLDER` gives their files.");
        } else if (task.as.empty()) {
            if (!formats.IsDefined() || formats.IsSequence())
                problem(node, fmt::format("{} names no format in `as`", what),
                        fmt::format("There is {}.", list_of(known)));
        }
        if (known.empty() || !formats.IsDefined() || !formats.IsSequence()) return;
        for (const YAML::Node& each : formats) {
            if (!each.IsScalar()) continue;
            const std::string& format = each.Scalar();
            const std::string_view plain = policy::plain_format(format);
            if (std::ranges::find(known, plain) == known.end())
                problem(each, fmt::format("{}: there is no format `{}` of kind `{}`", what, format, source->kind),
                        hint_for(std::string(plain), known));
        }
    }

    // What a job works on; false: the key says something else.
    bool read_target(const std::string& key, const YAML::Node& node, const std::string& what, policy::Job& job) {
        if (key == "sources") {
            job.sources = names(node, what, [&](const std::string& name, const YAML::Node& each) {
                return known_source(name, each, what);
            });
        } else if (key == "copies") {
            job.copies = names(node, what, [&](const std::string& name, const YAML::Node& each) {
                return known_repository(name, each, what);
            });
        } else if (key == "repository") {
            if (const auto name = text(node, what)) job.repository = known_repository(*name, node, what);
        } else if (key == "tags") {
            read_tags(node, what, job);
        } else if (key == "retention") {
            job.retention = retention_of(node, what);
        } else {
            return false;
        }
        return true;
    }

    std::vector<std::string> names(const YAML::Node& node, const std::string& what,
                                   const std::function<std::string(const std::string&, const YAML::Node&)>& known) {
        std::vector<std::string> out;
        if (!node.IsSequence()) {
            problem(node, fmt::format("{} must be a list of names, not {}", what, type_of(node)),
                    "Write it as `[one, two]`.");
            return out;
        }
        for (const YAML::Node& each : node) {
            const auto name = text(each, fmt::format("an element of {}", what));
            if (!name) continue;
            if (std::ranges::find(out, *name) != out.end()) {
                problem(each, fmt::format("`{}` stands twice in {}", *name, what), "Keep one of them.");
            } else if (const std::string found = known(*name, each); !found.empty()) {
                out.push_back(found);
            }
        }
        return out;
    }

    std::string known_source(const std::string& name, const YAML::Node& node, const std::string& what) {
        return known(config_.sources, "source", name, node, what);
    }
    std::string known_repository(const std::string& name, const YAML::Node& node, const std::string& what) {
        return known(config_.repositories, "repository", name, node, what);
    }
    // Empty, and said, when there is none of the name.
    template <class Each>
    std::string known(const std::vector<Each>& all, std::string_view kind, const std::string& name,
                      const YAML::Node& node, const std::string& what) {
        if (std::ranges::find(all, name, &Each::name) != all.end()) return name;
        std::vector<std::string> there;
        for (const Each& each : all) there.push_back(each.name);
        problem(node, fmt::format("{}: there is no {} `{}`", what, kind, name), hint_for(name, there));
        return "";
    }

    void read_tags(const YAML::Node& node, const std::string& what, policy::Job& job) {
        if (!is_map(node, node, what, "Write `tags: {why: daily}`.")) return;
        for (const auto& pair : node) {
            const auto key = text(pair.first, fmt::format("a key of {}", what));
            const auto value = text(pair.second, fmt::format("a value of {}", what));
            if (!key || !value) continue;
            if (*key == policy::job_tag || key->empty() || key->find('=') != std::string::npos) {
                problem(pair.first, fmt::format("{} cannot have the key `{}`", what, *key),
                        *key == policy::job_tag ? "Every snapshot of a job has its name under this key." : "");
            } else if (!job.tags.emplace(*key, *value).second) {
                problem(pair.first, fmt::format("`{}` stands twice in {}", *key, what), "Keep one of them.");
            }
        }
    }

    std::optional<policy::NamedRetention> retention_of(const YAML::Node& node, const std::string& what) {
        if (!node.IsScalar()) {
            const auto rules = rules_of(node, node, what);
            return rules ? std::optional(policy::NamedRetention{"", *rules}) : std::nullopt;
        }
        const std::string& name = node.Scalar();
        if (const auto rules = config_.rules(name)) return policy::NamedRetention{name, *rules};
        std::vector<std::string> there;
        for (const RetentionConfig& each : config_.retention) there.push_back(each.name);
        for (const policy::RetentionClass& each : policy::retention_classes()) there.emplace_back(each.name);
        problem(node, fmt::format("{}: there is no retention `{}`", what, name), hint_for(name, there));
        return std::nullopt;
    }

    // When and how a job runs.
    void read_timing(const std::string& key, const YAML::Node& node, const std::string& what, policy::Job& job) {
        if (key == "after") {
            job.after = names(node, what, [](const std::string& name, const YAML::Node&) { return name; });
            after_.emplace_back(job.name, node);
        } else if (key == "allowed_hours") {
            if (const auto given = text(node, what))
                said_at(node, what, [&] { job.allowed_hours = policy::parse_allowed_hours(*given); });
        } else if (key == "jitter") {
            job.jitter_max = duration(node, what).value_or(0);
        } else if (key == "timeout") {
            job.timeout = positive_duration(node, what);
        } else if (key == "overdue_after") {
            job.overdue_after = positive_duration(node, what);
        } else if (key == "catch_up") {
            if (const auto each = choice(node, what, keys::catch_up)) job.catch_up = policy::CatchUp{to_byte(*each)};
        } else if (key == "concurrency") {
            if (const auto each = choice(node, what, keys::concurrency))
                job.concurrency = policy::Concurrency{to_byte(*each)};
        } else if (key == "hooks") {
            job.hooks = hooks(node, fmt::format("job `{}`", job.name));
        } else if (key == "on_failure") {
            read_retries(node, what, job.retries);
        } else if (key == "limits") {
            read_limits(node, what, job.limits);
        }
    }

    static std::uint8_t to_byte(std::size_t value) { return static_cast<std::uint8_t>(value); }

    std::optional<Nanoseconds> positive_duration(const YAML::Node& node, const std::string& what) {
        const auto out = duration(node, what);
        if (out && *out == 0) problem(node, fmt::format("{} must be longer than 0", what), "");
        return out;
    }

    void read_retries(const YAML::Node& node, const std::string& what, policy::Retries& out) {
        if (!is_map(node, node, what, "Write `on_failure: {retry: 3, backoff: 5m}`.")) return;
        read_map(node, what, keys::on_failure, {},
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     if (key == "retry")
                         out.count = count(value, of(key, what)).value_or(0);
                     else
                         out.backoff = positive_duration(value, of(key, what)).value_or(out.backoff);
                 });
    }

    void read_limits(const YAML::Node& node, const std::string& what, policy::Limits& out) {
        if (!is_map(node, node, what, "Write `limits: {upload: 20M, load: 4}`.")) return;
        read_map(node, what, keys::limits, {}, [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
            if (key == "upload") {
                out.upload_bytes_per_second_max = size(value, of(key, what));
                if (out.upload_bytes_per_second_max == std::uint64_t{0})
                    problem(value, fmt::format("{} must be above 0", of(key, what)), "Without it there is no limit.");
                return;
            }
            const auto given = text(value, of(key, what));
            double load = 0;
            if (given && (!YAML::convert<double>::decode(value, load) || !(load > 0)))
                problem(value, fmt::format("{} must be a number above 0, not `{}`", of(key, what), *given),
                        "It is the load average above which the job waits.");
            else if (given)
                out.load_max = load;
        });
    }

    // Schedule and time zone, which are understood together.
    void read_schedule(const YAML::Node& map, const std::string& what, policy::Job& job) {
        const YAML::Node schedule = map["schedule"];
        const YAML::Node zone = map["timezone"];
        const auto zone_name = zone ? text(zone, of("timezone", what)) : std::optional<std::string>("UTC");
        if (!zone_name) return;
        if (zone) {
            const std::size_t problems_before = problem_count();
            said_at(zone, what, [&] { policy::Schedule::parse("@daily", *zone_name); });
            if (problem_count() != problems_before) return;
        }
        job.timezone = *zone_name;
        if (!schedule) return;
        if (const auto given = text(schedule, of("schedule", what)))
            said_at(schedule, what, [&] { job.schedule = policy::Schedule::parse(*given, *zone_name); });
    }

    // What a parser of a layer below throws, as a problem of its place.
    void said_at(const YAML::Node& node, const std::string& what, const std::function<void()>& parse) {
        try {
            parse();
        } catch (const Error& error) {
            problem(node, fmt::format("{}: {}", what, error.message()), error.hint());
        }
    }

    void check_job(const YAML::Node& at, const YAML::Node& map, const std::string& what, const policy::Job& job) {
        const bool is_backup = std::holds_alternative<policy::BackupTask>(job.task);
        const auto only_for = [&](const char* key, bool fits, const char* kinds) {
            if (map[key] && !fits)
                problem(map[key], fmt::format("{} is no {} job, so it has no `{}`", what, kinds, key), "");
        };
        if (is_backup && !map["sources"] &&
            std::ranges::none_of(keys::tasks, [&](auto task) { return map[std::string(task)].IsDefined(); }))
            problem(at, fmt::format("{} has nothing to do", what),
                    "Write `sources: [NAME]` for a backup, or one of " + list_of(keys::tasks) + ".");
        if (is_backup && map["sources"] && map["sources"].IsSequence() && map["sources"].size() == 0)
            problem(map["sources"], fmt::format("{} backs up no source", what), "Name at least one.");
        const bool is_forget = std::holds_alternative<policy::ForgetTask>(job.task);
        only_for("copies", is_backup, "backup");
        only_for("tags", is_backup, "backup");
        only_for("retention", is_backup || is_forget, "backup or forget");
        only_for("sources", is_backup || is_forget || std::holds_alternative<policy::ProveTask>(job.task),
                 "backup, prove or forget");
        if (const auto* prove = std::get_if<policy::ProveTask>(&job.task); prove != nullptr && !prove->to.empty())
            for (const std::string& source : job.sources)
                if (!config_.environment(prove->to)->targets.contains(source))
                    problem(map["sources"],
                            fmt::format("{}: environment `{}` has no place for `{}`", what, prove->to, source), "");
        if (std::ranges::find(job.copies, main_repository(job)) != job.copies.end())
            problem(map["copies"], fmt::format("{} copies to the repository that it backs up to", what), "");
    }

    // Of the most critical source that it works on.
    policy::Criticality criticality_of(const policy::Job& job) const {
        std::vector<std::string> names = job.sources;
        if (const auto* const task = std::get_if<policy::ExportTask>(&job.task)) names = {task->source};
        std::optional<policy::Criticality> out;
        for (const SourceConfig& source : config_.sources)
            if (names.empty() || std::ranges::find(names, source.name) != names.end())
                out = std::min(out.value_or(source.criticality), source.criticality);
        return out.value_or(policy::Criticality::normal);
    }

    // Empty when it cannot be told.
    std::string main_repository(const policy::Job& job) const {
        if (!job.repository.empty()) return job.repository;
        const RepositoryConfig* const found = config_.main_repository();
        return found == nullptr ? "" : found->name;
    }

    void check_after(const std::string& job, const YAML::Node& node) {
        if (!node.IsSequence()) return;
        std::vector<std::string> there;
        for (const policy::Job& each : config_.jobs) there.push_back(each.name);
        for (const YAML::Node& each : node) {
            if (!each.IsScalar() || config_.job(each.Scalar()) != nullptr) continue;
            problem(each, fmt::format("`after` of job `{}`: there is no job `{}`", job, each.Scalar()),
                    hint_for(each.Scalar(), there));
        }
    }

    // Jobs that wait for each other in a circle would never start.
    void check_order(const YAML::Node& jobs) {
        for (const policy::Job& job : config_.jobs) {
            std::vector<std::string> reached = job.after;
            for (std::size_t i = 0; i < reached.size(); ++i) {
                const policy::Job* const next = config_.job(reached[i]);
                if (next == nullptr) continue;
                for (const std::string& name : next->after)
                    if (std::ranges::find(reached, name) == reached.end()) reached.push_back(name);
            }
            if (std::ranges::find(reached, job.name) == reached.end()) continue;
            problem(jobs[job.name]["after"], fmt::format("job `{}` waits for itself", job.name),
                    fmt::format("It comes after {}.", join(reached, ", ")));
            return;
        }
    }

    const std::span<const SourceType* const> types_;
    Config& config_;
    std::vector<std::pair<std::string, YAML::Node>> after_;  // jobs, and what they wait for
};

}  // namespace

void read_jobs(const JobSections& sections, std::span<const SourceType* const> types, ParsedConfig& out) {
    JobReader(types, out).read(sections);
}

}  // namespace holdfast::app
