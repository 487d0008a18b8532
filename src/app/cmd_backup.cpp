#include <algorithm>

#include "app/backup_report.h"
#include "app/backup_sources.h"
#include "app/command.h"
#include "app/context.h"
#include "app/exit_order.h"
#include "app/progress_line.h"
#include "app/recorder.h"
#include "app/registry.h"
#include "app/source_options.h"
#include "base/error.h"
#include "base/file.h"
#include "base/stopped.h"
#include "base/text.h"
#include "engine/back_up.h"
#include "source/parts.h"

namespace holdfast::app {

namespace {

struct BackupChoice {
    SourceRequest request;
    std::vector<std::string> tags;
    std::optional<std::string> host;
    std::optional<std::string> domain;
    bool dry_run = false;
    bool reread = false;
};

struct Totals {
    std::vector<std::string> ids;
    repo::ItemCounts items;
    repo::ByteCounts bytes;

    void add(const repo::Snapshot& snapshot) {
        if (!snapshot.id.is_zero()) ids.push_back(snapshot.id.hex());
        items.added += snapshot.counts.added;
        items.changed += snapshot.counts.changed;
        items.unchanged += snapshot.counts.unchanged;
        items.failed += snapshot.counts.failed;
        bytes.logical += snapshot.bytes.logical;
        bytes.read += snapshot.bytes.read;
        bytes.added += snapshot.bytes.added;
        bytes.stored += snapshot.bytes.stored;
    }
};

// After these the next source would fail for the same reason.
bool ends_everything(Code code) {
    return is_stop(code) || code == Code::unreachable || code == Code::no_space || code == Code::wrong_key ||
           code == Code::denied;
}

ledger::Outcome outcome_of(const engine::BackupReport& report) {
    const repo::Snapshot& snapshot = report.snapshot;
    const bool partial = snapshot.partial || !report.findings.empty();
    return {.source = snapshot.source,
            .snapshot = snapshot.id.is_zero() ? "" : snapshot.id.hex(),
            .result = partial ? "partial" : "ok",
            .error = partial ? counted(report.findings.size(), "finding", "findings") : "",
            .seconds = report.seconds,
            .bytes = snapshot.bytes.logical,
            .stored = snapshot.bytes.stored,
            .items = snapshot.items};
}

// Backs up one source after the other; what fails is told, and the others follow.
class BackupRun {
public:
    BackupRun(Context& context, repo::Repository& repository, engine::BackupPlan plan,
              std::optional<std::string> domain)
        : context_(context), repository_(repository), plan_(std::move(plan)), domain_(std::move(domain)) {}

    // False: after this one the next would fail for the same reason.
    bool back_up(Source& source) {
        std::vector<std::unique_ptr<Source>> parts;
        if (!attempt(source, [&] {
                parts = parts_of(source, context_.world);
                if (parts.empty()) back_up_one(source);
            }))
            return false;
        if (!std::ranges::all_of(parts, [&](const auto& part) { return attempt(*part, [&] { back_up_one(*part); }); }))
            return false;
        return parts.empty() || attempt(source, [&] { look_at_parts_again(source, context_.world); });
    }
    const Totals& totals() const { return totals_; }
    int exit() const { return exit_; }

private:
    void back_up_one(Source& source) {
        engine::Progress progress;
        engine::BackupPlan plan = plan_;
        plan.domain = context_.domain_of(source.name(), domain_);
        const engine::BackupReport report = [&] {
            const ProgressLine line(context_.out, context_.world.clock, progress, source.name());
            return engine::back_up(source, repository_, plan, progress);
        }();
        print_report(context_.out, report, plan_.dry_run);
        totals_.add(report.snapshot);
        record(context_, outcome_of(report));
        if (!report.snapshot.partial && report.findings.empty()) return;
        const std::string name = source.name();
        context_.out.error(
            Error{Code::partial, "{} was backed up in part: {}", name,
                  counted(report.findings.size(), "item was not as it should be", "items were not as they should be")}
                .unharmed("everything else is in the snapshot"));
        exit_ = worse_exit(exit_, info_of(Code::partial).exit_status);
    }

    template <class Work>
    bool attempt(const Source& source, const Work& work) {
        try {
            work();
        } catch (Error& error) {
            if (is_stop(error.code()))
                error.set_unharmed(
                    "no snapshot was made of this source; what was stored already need not be stored again");
            context_.out.error(error);
            record(
                context_,
                {.source = source.name(), .result = std::string(info_of(error.code()).slug), .error = error.message()});
            exit_ = worse_exit(exit_, error.exit_status());
            return !ends_everything(error.code());
        }
        return true;
    }

    Context& context_;
    repo::Repository& repository_;
    const engine::BackupPlan plan_;
    const std::optional<std::string> domain_;
    Totals totals_;
    int exit_ = 0;
};

int run_backup(Context& context, const BackupChoice& choice) {
    SourceRequest request = choice.request;
    request.command_line = context.command_line;
    request.host = choice.host.value_or(current_host_name());
    for (const std::string& word : request.words) warn_of_password(context.out, word);
    const auto sources = make_sources(
        request, source_types(), [&]() -> const Config& { return context.config(); },
        [&](const SecretReference& reference) { return context.secrets.text_of(reference); });
    const auto repository = context.open_repository(repo::NotesFrom::checkpoint);

    const Nanoseconds begin = context.world.clock.steady();
    BackupRun run(
        context, *repository,
        {.tags = parse_tags(choice.tags), .host = request.host, .dry_run = choice.dry_run, .reread = choice.reread},
        choice.domain);
    for (const auto& source : sources)
        if (!run.back_up(*source)) break;
    const Totals& totals = run.totals();
    if (context.out.is_json())
        context.out.record({{"type", "summary"},
                            {"schema", "holdfast.backup/1"},
                            {"snapshots", totals.ids},
                            {"seconds", static_cast<double>(context.world.clock.steady() - begin) / one_second},
                            {"items", json_of(totals.items)},
                            {"bytes", json_of(totals.bytes)}});
    return run.exit();
}

}  // namespace

Command backup_command() {
    const auto choice = std::make_shared<BackupChoice>();
    Command out;
    out.name = "backup";
    out.part = Part::make;
    out.summary = "make a snapshot of each source that is named";
    out.details =
        "A SOURCE is a name from the configuration, or is described at once:\n"
        "`files:/path` is a folder or file; `command:NAME -- COMMAND ARGUMENTS…` is what a command prints, "
        "kept only when "
        "it exits with 0; `command:NAME -` is what comes on standard input.\n"
        "Such a source is named `files:/path@HOST`. Each source becomes one snapshot. What did not change is "
        "not read "
        "again, and what is stored already is not stored twice.\n"
        "Exit status 3 says that snapshots were made but some items could not be read; they are listed.";
    out.examples = {
        {"holdfast -r /backups backup files:/etc files:/home --exclude '*.tmp'", "two folders, two snapshots"},
        {"holdfast backup --all --tag why=nightly", "every source of the configuration"},
        {"holdfast backup command:orders.sql -- pg_dump orders", "what a command prints"},
        {"pg_dump orders | holdfast backup command:orders.sql -", "what another program sends"}};
    out.takes_command_line = true;
    out.is_recorded = true;
    out.options.words(choice->request.words, "SOURCE", "name from the configuration, `files:/path` or `command:NAME`")
        .offers = Option::Offers::sources;
    out.options.flag(choice->request.all, "-a,--all", "every source of the configuration");
    out.options.list(choice->tags, "-t,--tag", "KEY=VALUE", "put a tag on the snapshots");
    out.options.value(choice->request.name, "--name", "NAME", "call the source so, instead of `files:/path@HOST`");
    out.options.value(choice->host, "--host", "NAME", "say that it was made on this host");
    out.options.value(choice->domain, "--domain", "NAME",
                      "deduplicate within this domain only (default: as configured, or the key's)");
    out.options.flag(choice->dry_run, "-n,--dry-run", "read and count, store nothing");
    out.options.flag(choice->reread, "--reread", "read everything, also what seems unchanged");
    for (const SourceOption& option : command_line_options(source_types()))
        add_source_option(choice->request.options, out.options, option);
    out.run = [choice](Context& context) { return run_backup(context, *choice); };
    return out;
}

}  // namespace holdfast::app
