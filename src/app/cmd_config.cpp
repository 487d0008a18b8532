#include <sys/stat.h>

#include "app/command.h"
#include "app/config.h"
#include "app/context.h"
#include "app/registry.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

std::string path_of(const Context& context) {
    if (const auto path = context.config_path()) return *path;
    const std::vector<std::string> places = config_places();
    throw Error{Code::config, "there is no configuration file"}.hint(
        fmt::format("It is looked for at {}, or given by -c.", join(places, ", ")));
}

// A secret's file that others can read keeps no secret.
void warn_of_open_files(Context& context, const Config& config) {
    for (const RepositoryConfig& repository : config.repositories) {
        if (!repository.unlock || repository.unlock->secret.kind != SecretReference::Kind::file) continue;
        struct stat info {};
        const std::string& file = repository.unlock->secret.text;
        if (stat(file.c_str(), &info) == 0 && (info.st_mode & (S_IRGRP | S_IROTH)) != 0)
            context.out.warn(fmt::format("{} can be read by others than its owner; `chmod 600` it", file));
    }
}

// Everything wrong with the file, and with the secrets it points at.
std::vector<Error> errors_in(Context& context, const ParsedConfig& parsed) {
    std::vector<Error> out;
    for (const ConfigProblem& problem : parsed.problems) out.push_back(error_of(problem, parsed.config.path));
    for (const RepositoryConfig& repository : parsed.config.repositories) {
        if (!repository.unlock || repository.unlock->secret.text.empty()) continue;
        if (const auto problem = context.secrets.problem_with(repository.unlock->secret))
            out.push_back(Error{Code::config, "{}: {}", repository.unlock->secret.where, *problem});
    }
    return out;
}

int run_check(Context& context) {
    const std::string path = path_of(context);
    const ParsedConfig parsed = parse_config(read_config(path), path, source_types());
    const std::vector<Error> errors = errors_in(context, parsed);
    for (const Error& error : errors) context.out.error(error);
    if (context.out.is_json()) {
        Json list = Json::array();
        for (const Error& error : errors) list.push_back({{"message", error.message()}, {"hint", error.hint()}});
        context.out.record({{"schema", "holdfast.config/1"}, {"file", path}, {"ok", errors.empty()}, {"errors", list}});
    } else if (errors.empty()) {
        context.out.line(fmt::format("ok: {}, {}, {}, {}", path,
                                     counted(parsed.config.repositories.size(), "repository", "repositories"),
                                     counted(parsed.config.sources.size(), "source", "sources"),
                                     counted(parsed.config.jobs.size(), "job", "jobs")));
    }
    if (!errors.empty()) return info_of(Code::config).exit_status;
    warn_of_open_files(context, parsed.config);
    return 0;
}

std::string unlock_text(const RepositoryConfig& repository) {
    if (!repository.unlock) return "";
    const SecretReference& secret = repository.unlock->secret;
    const std::string_view scheme = secret.kind == SecretReference::Kind::environment ? "env"
                                    : secret.kind == SecretReference::Kind::file      ? "file"
                                                                                      : "exec";
    const std::string_view way = repository.unlock->is_credential                       ? "credential"
                                 : repository.unlock->way == repo::Unlock::Way::keyfile ? "keyfile"
                                                                                        : "passphrase";
    return fmt::format("{} {}:{}", way, scheme, secret.text);
}

std::string place_text(const RepositoryConfig& repository) {
    std::vector<std::string> out;
    if (!repository.site.empty()) out.push_back(repository.site);
    if (!repository.medium.empty()) out.push_back(repository.medium);
    if (repository.offsite) out.emplace_back("off-site");
    if (!repository.storage_class.empty()) out.push_back(repository.storage_class);
    if (!repository.encryption.empty()) out.push_back(repository.encryption);
    if (!repository.replica_of.empty()) out.push_back("replica of " + repository.replica_of);
    return join(out, ", ");
}

std::string retention_text(const policy::Retention& rules) {
    std::vector<std::string> out;
    for (const auto& [name, count] : {std::pair{"last", rules.last},
                                      {"hourly", rules.hourly},
                                      {"daily", rules.daily},
                                      {"weekly", rules.weekly},
                                      {"monthly", rules.monthly},
                                      {"yearly", rules.yearly}})
        if (count != 0) out.push_back(fmt::format("{} {}", name, count));
    if (rules.within) out.push_back("within " + human_duration(*rules.within));
    for (const std::string& tag : rules.tags) out.push_back("tag " + tag);
    if (rules.window) out.push_back("window " + human_duration(*rules.window));
    if (rules.last_good != 1) out.push_back(fmt::format("last good {}", rules.last_good));
    return join(out, ", ");
}

std::string schedule_text(const policy::Job& job) {
    if (job.schedule) return fmt::format("{} {}", job.schedule->text(), job.timezone);
    return job.after.empty() ? "" : "after " + join(job.after, ", ");
}

Json jobs_json(const Config& config) {
    Json out = Json::object();
    for (const policy::Job& job : config.jobs) {
        Json& each = out[job.name];
        each = {{"kind", policy::kind_of(job.task)},
                {"sources", job.sources},
                {"copies", job.copies},
                {"after", job.after},
                {"timezone", job.timezone}};
        if (job.schedule) each["schedule"] = job.schedule->text();
        if (job.retention) each["retention"] = retention_text(job.retention->rules);
    }
    return out;
}

void print_jobs(Output& out, const Config& config) {
    Table jobs({{"JOB"}, {"KIND"}, {"SOURCES"}, {"SCHEDULE"}, {"KEEPS"}});
    for (const policy::Job& job : config.jobs) {
        const auto* exported = std::get_if<policy::ExportTask>(&job.task);
        jobs.add({job.name, std::string(policy::kind_of(job.task)),
                  exported != nullptr ? exported->source : join(job.sources, ", "), schedule_text(job),
                  job.retention ? retention_text(job.retention->rules) : ""});
    }
    if (!jobs.empty()) jobs.print(out);
}

int run_show(Context& context) {
    const Config config = load_config(path_of(context), source_types());
    if (context.out.is_json()) {
        Json repositories = Json::object();
        for (const RepositoryConfig& each : config.repositories)
            repositories[each.name] = {{"url", each.url},
                                       {"endpoint", each.endpoint},
                                       {"region", each.region},
                                       {"profile", each.profile},
                                       {"addressing", each.addressing},
                                       {"compression", each.compression},
                                       {"storage_class", each.storage_class},
                                       {"encryption", each.encryption},
                                       {"kms_key", each.kms_key},
                                       {"unlock", unlock_text(each)},
                                       {"site", each.site},
                                       {"medium", each.medium},
                                       {"offsite", each.offsite},
                                       {"replica_of", each.replica_of},
                                       {"follow", each.follow}};
        Json sources = Json::object();
        for (const SourceConfig& each : config.sources) {
            Json options = Json::object();
            for (const auto& [name, values] : each.options) options[name] = values;
            sources[each.name] = {{"kind", each.kind}, {"options", options}};
        }
        context.out.record({{"schema", "holdfast.config/1"},
                            {"file", config.path},
                            {"repositories", repositories},
                            {"sources", sources},
                            {"jobs", jobs_json(config)},
                            {"service", {{"ledger", config.service.ledger}}}});
        return 0;
    }
    context.out.line(config.path);
    Table repositories({{"REPOSITORY"}, {"URL"}, {"UNLOCK"}, {"PLACE"}});
    for (const RepositoryConfig& each : config.repositories)
        repositories.add({each.name, each.url, unlock_text(each), place_text(each)});
    if (!repositories.empty()) repositories.print(context.out);
    Table sources({{"SOURCE"}, {"KIND"}, {"OPTIONS"}});
    for (const SourceConfig& each : config.sources) {
        std::vector<std::string> options;
        for (const auto& [name, values] : each.options)
            options.push_back(fmt::format("{}: {}", name, join(values, " ")));
        sources.add({each.name, each.kind, join(options, "; ")});
    }
    if (!sources.empty()) sources.print(context.out);
    print_jobs(context.out, config);
    return 0;
}

Command config_command(const std::string& verb, std::string summary, int (*run)(Context&)) {
    Command out;
    out.name = "config " + verb;
    out.part = Part::housekeeping;
    out.summary = std::move(summary);
    out.run = run;
    return out;
}

}  // namespace

Command config_check_command() {
    Command out = config_command("check", "look for errors in the configuration file", run_check);
    out.details =
        "Prints every error with line and column; also whether secrets can be had, without running commands "
        "of `exec:`.";
    out.examples = {{"holdfast -c /etc/holdfast/holdfast.yaml config check", "exit status 2 when something is wrong"}};
    return out;
}

Command config_show_command() {
    Command out = config_command("show", "print the configuration as it is understood", run_show);
    out.examples = {{"holdfast config show", "secrets stay references"}};
    return out;
}

Command config_schema_command() {
    Command out = config_command("schema", "print the JSON Schema of the configuration file", [](Context& context) {
        context.out.line(config_schema(source_types()));
        return 0;
    });
    out.examples = {{"holdfast config schema > holdfast.schema.json", "for editors that complete YAML"}};
    return out;
}

}  // namespace holdfast::app
