#include <algorithm>
#include <set>

#include "app/backup_sources.h"
#include "app/command.h"
#include "app/config.h"
#include "app/context.h"
#include "app/recorder.h"
#include "app/registry.h"
#include "base/error.h"
#include "base/stopped.h"
#include "base/text.h"
#include "policy/lint.h"

namespace holdfast::app {

namespace {

struct LintChoice {
    bool servers = false;
};

constexpr int errors_exit = 1;
constexpr int warnings_exit = 3;

// Commands and queries, wherever they stand.
class Texts {
public:
    std::vector<policy::LintText> of(const Config& config) {
        for (const SourceConfig& source : config.sources) {
            const std::string name = fmt::format("source `{}`", source.name);
            if (const auto run = source.options.find("run"); run != source.options.end())
                add(source.where, name, run->second, Use::captured);
            for (const engine::Check& check : source.checks) {
                const std::string of_check = "a check of " + name;
                if (check.kind == engine::Check::Kind::sql)
                    add(source.where, of_check, {check.sql}, Use::query);
                else if (check.kind == engine::Check::Kind::exec)
                    add(source.where, of_check, check.exec, Use::command);
                else
                    add(source.where, of_check, {check.url}, Use::text);
            }
            add_hooks(source.where, name, source.hooks);
        }
        for (const policy::Job& job : config.jobs) {
            const std::string name = fmt::format("job `{}`", job.name);
            if (const auto* task = std::get_if<policy::ExportTask>(&job.task))
                add(job.where, "`to` of " + name, {task->to}, Use::text);
            add_hooks(job.where, name, job.hooks);
        }
        return std::move(out_);
    }

private:
    using Use = policy::LintText::Use;

    void add(const std::string& where, const std::string& of, const std::vector<std::string>& words, Use use) {
        if (!words.empty()) out_.push_back({where, of, words, use});
    }
    void add_hooks(const std::string& where, const std::string& of, const policy::Hooks& hooks) {
        for (const auto* list : {&hooks.before, &hooks.after, &hooks.on_failure})
            for (const policy::Hook& hook : *list) add(where, "a hook of " + of, hook.argv, Use::command);
    }

    std::vector<policy::LintText> out_;
};

policy::LintInput input_of(const Config& config, Nanoseconds now) {
    policy::LintInput out;
    out.now = now;
    for (const RepositoryConfig& each : config.repositories)
        out.repositories.push_back({each.name, each.where, each.site, each.medium, each.offsite, each.replica_of});
    for (const SourceConfig& each : config.sources)
        out.sources.push_back({.name = each.name,
                               .where = each.where,
                               .follow = each.follow,
                               .window = each.window,
                               .rpo = each.rpo,
                               .databases_left_out = {},
                               .rto = each.rto,
                               .criticality = each.criticality,
                               .canary = each.options.contains("canary")});
    out.jobs = config.jobs;
    out.texts = Texts().of(config);
    if (const RepositoryConfig* main = config.main_repository()) out.main_repository = main->name;
    return out;
}

// How long it took to bring each source back, where the ledger knows.
void ask_ledger(Context& context, policy::LintInput& input) {
    if (std::ranges::none_of(input.sources, [](const auto& each) { return each.rto.has_value(); })) return;
    std::string why = "no restore or proof of it as a whole is in the ledger";
    try {
        if (!context.config().records_runs()) {
            why = "no `ledger` is configured";
        } else if (!ledger::exists(ledger_place(context))) {
            why = "there is no ledger yet";
        } else {
            const auto ledger = open_ledger(context);
            for (policy::LintSource& source : input.sources)
                source.recovery = policy::recovery_time(ledger->recovery_seconds(source.name));
        }
    } catch (const Error& error) {
        if (is_stop(error.code())) throw;
        why = error.message();
    }
    for (policy::LintSource& source : input.sources)
        if (!source.recovery) source.recovery_unknown_because = why;
}

// A database may be one source's to leave out and another's to capture.
void ask_servers(Context& context, const Config& config, policy::LintInput& input) {
    std::set<std::pair<std::string, std::string>> answered_for;  // server, database
    std::vector<std::pair<std::size_t, ServedDatabase>> others;
    for (std::size_t i = 0; i < config.sources.size(); ++i) {
        const SourceConfig& source = config.sources[i];
        const DatabaseList list = database_list(source.kind);
        if (list == nullptr) continue;
        const SourceOptions options =
            resolved_options(source, *source_type(source.kind),
                             [&](const SecretReference& reference) { return context.secrets.text_of(reference); });
        const Note note{"asking the server of source {} for its databases", source.name};
        for (const ServedDatabase& each : list(context.world, options)) {
            if (each.is_answered_for)
                answered_for.emplace(each.server, each.name);
            else
                others.emplace_back(i, each);
        }
    }
    for (const auto& [i, each] : others)
        if (answered_for.emplace(each.server, each.name).second)
            input.sources[i].databases_left_out.push_back(each.name);
}

void print_json(Output& out, const std::string& file, const std::vector<policy::LintFinding>& findings) {
    Json list = Json::array();
    for (const policy::LintFinding& each : findings)
        list.push_back({{"severity", policy::name_of(each.severity)},
                        {"rule", each.rule},
                        {"where", each.where},
                        {"what", each.what},
                        {"why", each.why},
                        {"fix", each.fix}});
    out.record({{"schema", "holdfast.lint/1"}, {"file", file}, {"ok", findings.empty()}, {"findings", list}});
}

void print_text(Output& out, const std::string& file, const std::vector<policy::LintFinding>& findings) {
    for (const policy::LintFinding& each : findings) {
        out.line(fmt::format("{}: {}: {} [{}]", each.where, policy::name_of(each.severity), each.what, each.rule));
        out.line(fmt::format("    why: {}", each.why));
        out.line(fmt::format("    fix: {}", each.fix));
    }
    if (findings.empty()) out.line(fmt::format("ok: {}: nothing found", file));
}

int exit_status(const std::vector<policy::LintFinding>& errors_first) {
    if (errors_first.empty()) return 0;
    switch (errors_first.front().severity) {
        case policy::Severity::error:
            return errors_exit;
        case policy::Severity::warning:
            return warnings_exit;
        case policy::Severity::note:
            break;
    }
    return 0;
}

int run_lint(Context& context, const LintChoice& choice) {
    const Config& config = context.config();
    if (config.path.empty())
        throw Error{Code::config, "there is no configuration file"}.hint(
            fmt::format("It is looked for at {}, or given by -c.", join(config_places(), ", ")));
    policy::LintInput input = input_of(config, context.world.clock.now());
    ask_ledger(context, input);
    if (choice.servers) ask_servers(context, config, input);
    const std::vector<policy::LintFinding> findings = policy::lint(input);
    if (context.out.is_json())
        print_json(context.out, config.path, findings);
    else
        print_text(context.out, config.path, findings);
    return exit_status(findings);
}

}  // namespace

Command config_lint_command() {
    const auto choice = std::make_shared<LintChoice>();
    Command out;
    out.name = "config lint";
    out.part = Part::housekeeping;
    out.summary = "say what a well-formed configuration promises and will not keep";
    out.details =
        "Objectives that schedules cannot meet, sources without a job or a proof, jobs that are never due, retention "
        "that may drop the last good snapshot, fewer copies than 3-2-1, secrets in commands and more; each with its "
        "place, why it matters and what to do. Exit status 1 with errors, 3 with warnings only.";
    out.examples = {{"holdfast config lint", "reads the file only"},
                    {"holdfast config lint --servers", "also asks servers for databases that no source captures"}};
    out.options.flag(choice->servers, "--servers", "ask servers which databases they have");
    out.run = [choice](Context& context) { return run_lint(context, *choice); };
    return out;
}

}  // namespace holdfast::app
