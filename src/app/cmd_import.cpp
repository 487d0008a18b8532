#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "app/backup_report.h"
#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "app/registry.h"
#include "app/select.h"
#include "app/source_options.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/import.h"
#include "sandbox/sandbox.h"

namespace holdfast::app {

namespace {

struct ImportChoice {
    std::string path;
    std::optional<std::string> source;
    std::optional<std::string> time;
    std::optional<std::string> host;
    std::optional<std::string> domain;
    std::vector<std::string> tags;
    std::string sandbox;
    SourceOptions options;
    bool allow_unisolated = false;
    bool dry_run = false;
};

struct Dump {
    const SourceType* type = nullptr;
    std::string format;
};

Dump recognize(const std::string& path, const SourceConfig* source) {
    std::vector<std::string> kinds;
    for (const SourceType* type : source_types()) {
        if (type->dump_format == nullptr || (source != nullptr && type->kind != source->kind)) continue;
        kinds.emplace_back(type->kind);
        if (std::string format = type->dump_format(path); !format.empty()) return {type, std::move(format)};
    }
    if (kinds.empty())
        throw Error{Code::usage, "dumps of kind {} cannot be imported", source->kind}.hint(
            "`holdfast backup` makes snapshots of what is in use.");
    throw Error{Code::source_failed, "{} is no dump of {}", path, join(kinds, " or ")}.hint(
        "`holdfast import --help` says which formats are read.");
}

// Of a folder: of the newest file in it.
Nanoseconds modified(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
        throw Error{Code::source_failed, "cannot read {}: {}", path, errno_text(errno)};
    const auto time_of = [](const struct stat& each) {
        return static_cast<Nanoseconds>(each.st_mtim.tv_sec) * one_second + each.st_mtim.tv_nsec;
    };
    Nanoseconds out = time_of(info);
    if (!S_ISDIR(info.st_mode)) return out;
    out = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path))
        if (struct stat each{}; ::stat(entry.path().c_str(), &each) == 0) out = std::max(out, time_of(each));
    return out;
}

Nanoseconds time_of(Context& context, const ImportChoice& choice) {
    const Nanoseconds now = context.world.clock.now();
    if (!choice.time) return std::min(modified(choice.path), now);
    const auto time = parse_time(*choice.time, now);
    if (!time)
        throw Error{Code::usage, "`{}` is not a time", *choice.time}.hint(
            "Times look like `2026-03-01T04:10:00Z`, `2026-03-01 04:10:00` (local), `2026-03-01` (its end) or `2h` "
            "(ago).");
    if (*time > now) throw Error{Code::usage, "--time {} is in the future", rfc3339(*time)};
    if (is_local_time(*choice.time)) context.out.say(fmt::format("--time {} is {}", *choice.time, rfc3339(*time)));
    return *time;
}

SourceOptions options_for(Context& context, const ImportChoice& choice, const SourceType& type,
                          const SourceConfig* source) {
    SourceOptions out;
    for (const SourceOption& option : type.import_options) {
        const std::string name(option.name);
        if (const auto given = choice.options.find(name); given != choice.options.end() && !given->second.empty()) {
            out[name] = given->second;
        } else if (source != nullptr && source->options.contains(name)) {
            std::vector<std::string>& values = out[name] = source->options.at(name);
            for (std::string& value : values)
                if (const auto reference = parse_reference(value); reference && option.type != SourceOption::Type::text)
                    value = context.secrets.text_of(*reference);
        }
    }
    return out;
}

int run_import(Context& context, const ImportChoice& choice) {
    if (!choice.source)
        throw Error{Code::usage, "`import` needs --source NAME"}.hint("The snapshot becomes one of this source.");
    if (!std::filesystem::exists(choice.path)) throw Error{Code::source_failed, "there is no {}", choice.path};
    const SourceConfig* const source = context.config().source(*choice.source);
    const Dump dump = recognize(choice.path, source);
    engine::ImportPlan plan{.path = std::filesystem::absolute(choice.path).lexically_normal().string(),
                            .source = *choice.source,
                            .options = options_for(context, choice, *dump.type, source),
                            .backup = {.tags = parse_tags(choice.tags),
                                       .host = choice.host.value_or(current_host_name()),
                                       .dry_run = choice.dry_run,
                                       .time = time_of(context, choice),
                                       .domain = context.domain_of(*choice.source, choice.domain)},
                            .sandbox_root = choice.sandbox.empty() ? default_sandbox_root() : choice.sandbox,
                            .allow_unisolated = choice.allow_unisolated};
    plan.backup.tags.insert_or_assign(std::string(policy::imported_tag), dump.format);
    const auto repository = context.open_repository();
    for (const std::string& path : reap_sandboxes(context.world, plan.sandbox_root))
        context.out.say("removed the sandbox that an earlier run left: " + path);

    const engine::BackupReport report = [&] {
        engine::Progress loading, capturing;
        std::optional<ProgressLine> line;
        line.emplace(context.out, context.world.clock, loading, "loading " + dump.format);
        return engine::import_dump(*repository, *dump.type, plan, loading, capturing,
                                   [&] { line.emplace(context.out, context.world.clock, capturing, plan.source); });
    }();
    print_report(context.out, report, choice.dry_run);
    const repo::Snapshot& snapshot = report.snapshot;
    if (context.out.is_json())
        context.out.record({{"type", "summary"},
                            {"schema", "holdfast.import/1"},
                            {"snapshots", choice.dry_run ? Json::array() : Json::array({snapshot.id.hex()})},
                            {"kind", snapshot.kind},
                            {"format", dump.format},
                            {"time", rfc3339(snapshot.time)},
                            {"seconds", report.seconds},
                            {"items", json_of(snapshot.counts)},
                            {"bytes", json_of(snapshot.bytes)}});
    else if (!context.out.quiet)
        context.out.line(fmt::format("  is of  {}", rfc3339_seconds(snapshot.time)));
    return 0;
}

}  // namespace

Command import_command() {
    const auto choice = std::make_shared<ImportChoice>();
    Command out;
    out.name = "import";
    out.is_recorded = true;
    out.part = Part::make;
    out.summary = "make a snapshot of a dump that another program made";
    out.details =
        "PostgreSQL: plain SQL of pg_dump or pg_dumpall, custom, directory and tar; files also in gzip. The dump is "
        "loaded into a throwaway server in a sandbox (as `prove` does), and that is captured. The snapshot can be "
        "listed, restored in whole or in part, exported and proven like any other.\n"
        "MongoDB: archives, folders and tars of mongodump, also in gzip, with the oplog in them. Redis: RDB and "
        "append-only files, and folders of these.\n"
        "It is of --time, else of the time at which the file was last written, and has the tag `imported=FORMAT`. "
        "When a statement of the dump fails nothing is kept, and the exit status is 15.\n"
        "A dump of one database in SQL does not say its name: it is that of the file, unless --database is given.";
    out.examples = {
        {"holdfast import postgres_backup_20260301_020000.sql.gz --source orders-db --time 2026-03-01T02:00:00Z",
         "an old dump"},
        {"holdfast import /srv/dumps/shop.dump --source orders-db", "a custom archive, as old as the file"},
        {"holdfast import /srv/dumps/shop.dir --source orders-db --dry-run", "whether a directory dump can be loaded"}};
    Option& path = out.options.word(choice->path, "PATH", "the dump, a file or a folder");
    path.required = true;
    path.offers = Option::Offers::files;
    out.options.value(choice->source, "--source", "NAME", "whose snapshot it becomes; need not be configured").offers =
        Option::Offers::sources;
    out.options.value(choice->time, "--time", "TIME", "what the dump is of; without it, when the file was written");
    out.options.list(choice->tags, "-t,--tag", "KEY=VALUE", "put a tag on the snapshot");
    out.options.value(choice->domain, "--domain", "NAME",
                      "deduplicate within this domain only (default: as configured, or the key's)");
    out.options.value(choice->host, "--host", "NAME", "say that it was made on this host");
    for (const SourceType* type : source_types())
        for (const SourceOption& option : type->import_options)
            if (!choice->options.contains(option.name)) add_source_option(choice->options, out.options, option);
    out.options.value(choice->sandbox, "--sandbox", "FOLDER", "where sandboxes are made (HOLDFAST_SANDBOX)").offers =
        Option::Offers::folders;
    out.options.flag(choice->allow_unisolated, "--allow-unisolated",
                     "also where this machine refuses to isolate processes");
    out.options.flag(choice->dry_run, "-n,--dry-run", "load and count, store nothing");
    out.run = [choice](Context& context) { return run_import(context, *choice); };
    return out;
}

}  // namespace holdfast::app
