#include "policy/lint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "policy/lint_texts.h"

namespace holdfast::policy {

namespace {

constexpr Nanoseconds one_day = 86400 * one_second;

constexpr std::array<LintRule, 21> rules{{
    {"rpo-unattainable", Severity::error},
    {"rto-missed", Severity::error},
    {"unprotected", Severity::error},
    {"never-due", Severity::error},
    {"drops-last-good", Severity::error},
    {"secret-in-clear", Severity::error},
    {"critical-at-risk", Severity::warning},
    {"threshold-beyond-objective", Severity::warning},
    {"no-proof", Severity::warning},
    {"only-by-hand", Severity::warning},
    {"window-beyond-retention", Severity::warning},
    {"window-without-follow", Severity::warning},
    {"canary-without-follow", Severity::warning},
    {"copies", Severity::warning},
    {"database-left-out", Severity::warning},
    {"no-retention", Severity::warning},
    {"nothing-forgets", Severity::warning},
    {"nothing-prunes", Severity::warning},
    {"compressed-before", Severity::warning},
    {"misleading-command", Severity::warning},
    {"rto-unknown", Severity::note},
}};

bool covers(const Job& job, const std::string& source) {
    return std::ranges::find(job.sources, source) != job.sources.end();
}
template <class Kind>
bool is(const Job& job) {
    return std::holds_alternative<Kind>(job.task);
}

// How far back the oldest snapshot that these rules keep reaches, by their counts.
Nanoseconds reach(const Retention& keep, Nanoseconds gap) {
    return std::max({keep.within.value_or(0), keep.last * gap, keep.hourly * (one_day / 24), keep.daily * one_day,
                     keep.weekly * 7 * one_day, keep.monthly * 30 * one_day, keep.yearly * 365 * one_day});
}

// Without a schedule a job runs as often as the rarest of those that it follows.
class Timing {
public:
    explicit Timing(const LintInput& input) : input_(input) {
        for (const Job& job : input.jobs) gaps_.emplace(job.name, own_gap(job));
    }
    // Why it never runs by itself; empty: it does, or nobody wants it to.
    std::string never_due_because(const Job& job) const {
        if (job.schedule)
            return job.schedule->next(input_.now)
                       ? ""
                       : fmt::format("There is no time that fits `{}`.", job.schedule->text());
        for (const std::string& name : job.after) {
            const auto before = std::ranges::find(input_.jobs, name, &Job::name);
            if (before != input_.jobs.end() && !never_due_because(*before).empty())
                return fmt::format("It waits for job `{}`, which is never due.", name);
        }
        return "";
    }
    std::optional<Nanoseconds> gap(const Job& job) const {
        if (job.schedule) return gaps_.at(job.name);
        std::optional<Nanoseconds> out;
        for (const std::string& name : job.after) {
            const auto before = std::ranges::find(input_.jobs, name, &Job::name);
            const auto each = before == input_.jobs.end() ? std::nullopt : gap(*before);
            if (!each) return std::nullopt;
            out = std::max(out.value_or(0), *each);
        }
        return out;
    }

private:
    std::optional<Nanoseconds> own_gap(const Job& job) const {
        return job.schedule ? longest_gap(*job.schedule, input_.now) : std::nullopt;
    }

    const LintInput& input_;
    std::map<std::string, std::optional<Nanoseconds>> gaps_;
};

class Linter {
public:
    explicit Linter(const LintInput& input) : input_(input), timing_(input) {}

    std::vector<LintFinding> run() {
        for (const LintSource& source : input_.sources) look_at(source);
        for (const Job& job : input_.jobs) look_at(job);
        look_at_upkeep();
        for (const LintText& text : input_.texts) look_at(text);
        std::ranges::stable_sort(out_, {}, &LintFinding::severity);
        return std::move(out_);
    }

private:
    void add(std::string_view rule, const std::string& where, std::string what, std::string why, std::string fix) {
        const auto found = std::ranges::find(rules, rule, &LintRule::name);
        HF_ASSERT(found != rules.end());
        out_.push_back({found->severity, found->name, where, std::move(what), std::move(why), std::move(fix)});
    }

    void look_at(const LintSource& source) {
        std::vector<const Job*> backups;
        std::optional<std::uint8_t> proven;
        for (const Job& job : input_.jobs) {
            if (is<BackupTask>(job) && covers(job, source.name)) backups.push_back(&job);
            const auto* const proof = std::get_if<ProveTask>(&job.task);
            const bool is_in_sandbox = proof != nullptr && proof->to.empty();  // elsewhere only the newest is looked at
            if (is_in_sandbox && (job.sources.empty() || covers(job, source.name)))
                proven = std::max(proven.value_or(0), proof->level);
        }
        const bool is_proven = proven.value_or(0) >= good_level;
        if (backups.empty() && !source.follow) {
            add("unprotected", source.where, fmt::format("no job backs up source `{}`", source.name),
                "It is configured, so somebody counts on it; nothing of it is stored unless somebody thinks of it.",
                fmt::format("Name it in the `sources` of a job: `sources: [{}]`.", source.name));
            return;
        }
        if (!is_proven)
            add("no-proof", source.where,
                proven ? fmt::format("source `{}` is proved up to V{} only", source.name, *proven)
                       : fmt::format("no job proves source `{}`", source.name),
                "A backup that was never restored may be worth nothing, and nobody would know.",
                "Add a job such as `{prove: {pick: random}, schedule: \"0 6 * * 0\"}`.");
        look_at_objective(source, backups);
        look_at_recovery(source);
        if (source.criticality == Criticality::critical) look_at_critical(source, backups, is_proven);
        look_at_window(source, backups);
        for (const std::string& database : source.databases_left_out)
            add("database-left-out", source.where,
                fmt::format("database `{}` is on the server of source `{}`, and no source captures it", database,
                            source.name),
                "It is lost with the server.", "Add it to `databases`, or a source of its own.");
    }

    void look_at_objective(const LintSource& source, const std::vector<const Job*>& backups) {
        if (!source.rpo) return;
        if (!source.follow) {
            std::optional<Nanoseconds> best;
            for (const Job* job : backups)
                if (const auto gap = timing_.gap(*job)) best = std::min(best.value_or(*gap), *gap);
            if (best && *best > *source.rpo)
                add("rpo-unattainable", source.where,
                    fmt::format("source `{}` may lose {} at most, but is backed up every {}", source.name,
                                human_duration(*source.rpo), human_duration(*best)),
                    "Just before a backup, everything since the last one is lost: the objective is missed by schedule.",
                    "Set `follow: true` where the kind can, or back up at least as often as `rpo` says.");
        }
        for (const Job* job : backups)
            if (!source.follow && job->overdue_after && *job->overdue_after > *source.rpo)
                add("threshold-beyond-objective", job->where,
                    fmt::format("job `{}` counts as overdue after {}, but source `{}` may lose {} at most", job->name,
                                human_duration(*job->overdue_after), source.name, human_duration(*source.rpo)),
                    "When somebody is told, the objective has been missed already.",
                    "Set `overdue_after` to no more than `rpo`, or leave it out.");
    }

    void look_at_recovery(const LintSource& source) {
        if (!source.rto) return;
        if (!source.recovery) {
            add("rto-unknown", source.where,
                fmt::format("source `{}` shall be back within {}; how long it takes is not known: {}", source.name,
                            human_duration(*source.rto), source.recovery_unknown_because),
                "An objective that nobody has measured is a hope.",
                "Let a `prove` job run, or restore it: each measures it.");
            return;
        }
        const auto worst = static_cast<Nanoseconds>(source.recovery->worst * one_second);
        if (worst <= *source.rto) return;
        add("rto-missed", source.where,
            fmt::format("source `{}` shall be back within {}, but took up to {} in its last {} restores and proofs",
                        source.name, human_duration(*source.rto), human_duration(worst), source.recovery->count),
            "It takes as long when it is needed, and longer on a slower machine.",
            "Restore from a nearer copy or into a faster machine, split the source, or promise less.");
    }

    // What may be forgiven elsewhere.
    void look_at_critical(const LintSource& source, const std::vector<const Job*>& backups, bool is_proven) {
        std::vector<std::string> missing;
        if (!source.rpo || !source.rto) missing.emplace_back("it lacks `objectives` of both `rpo` and `rto`");
        if (!is_proven) missing.emplace_back("no job proves it");
        const auto is_short = [&](const Job* job) { return !missing_copies(*job).empty(); };
        const Job followed_only;
        if (backups.empty() ? is_short(&followed_only) : std::ranges::all_of(backups, is_short))
            missing.emplace_back("it has less than 3-2-1 copies");
        if (missing.empty()) return;
        add("critical-at-risk", source.where,
            fmt::format("source `{}` is critical, but {}", source.name, join(missing, ", ")),
            "What is critical needs a promise, a proof of it, and copies that outlive a site.",
            "Give it what is missing, or another `criticality`.");
    }

    void look_at_window(const LintSource& source, const std::vector<const Job*>& backups) {
        if (source.canary && !source.follow)
            add("canary-without-follow", source.where,
                fmt::format("source `{}` has a `canary`, but is not followed", source.name),
                "Only who follows a source writes its canary, so no restore will show how much was lost.",
                "Set `follow: true`, or remove `canary`.");
        if (source.window && !source.follow) {
            add("window-without-follow", source.where,
                fmt::format("source `{}` has a `window`, but is not followed", source.name),
                "Without `follow: true` there is no journal, so only the snapshots' own instants can be reached.",
                "Set `follow: true`, or remove `window`.");
            return;
        }
        if (!source.follow) return;
        std::optional<Nanoseconds> window = source.window;
        Nanoseconds longest = 0;
        for (const Job* job : backups) {
            if (!job->retention) return;
            window = std::max(window, job->retention->rules.window);
            longest = std::max(longest, reach(job->retention->rules, timing_.gap(*job).value_or(one_day)));
        }
        if (backups.empty() || !window || longest >= *window) return;
        add("window-beyond-retention", source.where,
            fmt::format("every instant of source `{}` shall stay reachable for {}, but its snapshots are kept for {}",
                        source.name, human_duration(*window), human_duration(longest)),
            "The window needs the snapshot that it begins with: that one stays longer than the retention says.",
            "Keep snapshots at least as long as the window, or shorten it.");
    }

    void look_at(const Job& job) {
        if (std::string because = timing_.never_due_because(job); !because.empty())
            add("never-due", job.where, fmt::format("job `{}` is never due", job.name), std::move(because),
                job.schedule ? "Correct its `schedule`." : "Correct the schedule of that one.");
        else if (!job.schedule && job.after.empty())
            add("only-by-hand", job.where, fmt::format("job `{}` has no schedule and follows no job", job.name),
                "It runs when somebody says so only.", "Give it a `schedule` or `after`.");
        if (job.retention && job.retention->rules.last_good == 0)
            add("drops-last-good", job.where,
                fmt::format("the retention of job `{}` may drop the last snapshot that passed a proof", job.name),
                "When newer ones turn out to be worthless, nothing good is left.",
                "Remove `keep_last_good: 0`; 1 is what is kept unless something else is said.");
        look_at_threshold(job);
        if (!is<BackupTask>(job)) return;
        if (!job.retention)
            add("no-retention", job.where,
                fmt::format("nothing says how long snapshots of job `{}` are kept", job.name),
                "They stay for ever, and so does the space that they take.",
                "Give it a `retention`: rules, a name, or operational, dr, compliance, test.");
        look_at_copies(job);
    }

    void look_at_threshold(const Job& job) {
        const auto gap = timing_.gap(job);
        if (!gap || !job.overdue_after || *job.overdue_after < 2 * *gap) return;
        add("threshold-beyond-objective", job.where,
            fmt::format("job `{}` runs every {}, but counts as overdue only after {}", job.name, human_duration(*gap),
                        human_duration(*job.overdue_after)),
            fmt::format("{} runs in a row can fail before anybody is told.", *job.overdue_after / *gap),
            "Leave `overdue_after` out: it follows from the schedule.");
    }

    // Those that it writes to, and their replicas.
    std::vector<const LintRepository*> repositories_of(const Job& job) const {
        std::set<std::string> names(job.copies.begin(), job.copies.end());
        names.insert(job.repository.empty() ? input_.main_repository : job.repository);
        std::vector<const LintRepository*> out;
        for (const LintRepository& each : input_.repositories)
            if (names.contains(each.name) || names.contains(each.replica_of)) out.push_back(&each);
        return out;
    }

    // Three copies with the original, on two media, one of them off-site. What stands at one site is lost together, whatever
    // else is said of it.
    std::vector<std::string> missing_copies(const Job& job) const {
        std::size_t count = 1;
        std::set<std::string> media{"disk"};  // of the original
        std::set<std::string> sites_here;
        std::vector<const LintRepository*> offsite;
        for (const LintRepository* each : repositories_of(job)) {
            ++count;
            if (!each->medium.empty()) media.insert(each->medium);
            if (each->offsite)
                offsite.push_back(each);
            else
                sites_here.insert(each->site);
        }
        std::erase_if(offsite, [&](const LintRepository* each) {
            return !each->site.empty() && sites_here.contains(each->site);
        });
        std::vector<std::string> missing;
        if (count < 3) missing.push_back(count == 1 ? "no copy" : "one copy beside the original only");
        if (media.size() < 2) missing.emplace_back("one medium only");
        if (offsite.empty()) missing.emplace_back("none off-site");
        return missing;
    }

    void look_at_copies(const Job& job) {
        const std::vector<std::string> missing = missing_copies(job);
        if (missing.empty()) return;
        const bool is_said = std::ranges::all_of(repositories_of(job), [](const LintRepository* each) {
            return !each->medium.empty() && !each->site.empty();
        });
        add("copies", job.where, fmt::format("job `{}` makes less than 3-2-1: {}", job.name, join(missing, ", ")),
            "What destroys the original can destroy every copy of it.",
            is_said ? "Name further repositories in `copies`."
                    : "Name further repositories in `copies`, and say `site`, `medium` and `offsite: true` of them.");
    }

    void look_at_upkeep() {
        const auto any = [&](auto&& test) { return std::ranges::any_of(input_.jobs, test); };
        const auto first = std::ranges::find_if(
            input_.jobs, [](const Job& job) { return is<BackupTask>(job) && job.retention.has_value(); });
        const bool forgets = any([](const Job& job) { return is<ForgetTask>(job); });
        if (first != input_.jobs.end() && !forgets)
            add("nothing-forgets", first->where,
                fmt::format("job `{}` has a retention, but no job applies it", first->name),
                "Snapshots go by a `forget` job or by hand; a backup removes nothing.",
                "Add a job such as `{forget: {}, schedule: \"0 5 * * *\"}`.");
        if (forgets && !any([](const Job& job) { return is<PruneTask>(job); })) {
            const auto forget = std::ranges::find_if(input_.jobs, is<ForgetTask>);
            add("nothing-prunes", forget->where, "snapshots are forgotten, but no job gives their space back",
                "The repository only grows.",
                fmt::format("Add a job such as `{{prune: {{}}, after: [{}]}}`.", forget->name));
        }
    }

    void look_at(const LintText& text) {
        const bool is_query = text.use == LintText::Use::query;
        if (!is_query && holds_secret(text.words))
            add("secret-in-clear", text.where, fmt::format("{} has a secret in it", text.of),
                "Whoever can read the file, or the list of processes, has it.",
                "Let a command read it itself, from a file or its environment.");
        if (text.use == LintText::Use::captured)
            if (const auto packer = packing_word(text.words); !packer.empty())
                add("compressed-before", text.where,
                    fmt::format("{} is compressed by `{}` before it is stored", text.of, packer),
                    "One changed byte changes all that follows, so every backup is stored whole again.",
                    "Print it as it is; it is compressed when it is stored, and `export` makes `.gz` of it.");
        if (const auto advice = is_query ? misleading_query(text.words.front()) : misleading(text.words))
            add("misleading-command", text.where, fmt::format("{}: `{}` {}", text.of, advice->pattern, advice->what),
                std::string(advice->why), std::string(advice->fix));
    }

    const LintInput& input_;
    const Timing timing_;
    std::vector<LintFinding> out_;
};

}  // namespace

std::string_view name_of(Severity severity) {
    return severity == Severity::error ? "error" : severity == Severity::warning ? "warning" : "note";
}

std::vector<LintFinding> lint(const LintInput& input) { return Linter(input).run(); }

std::span<const LintRule> lint_rules() { return rules; }

}  // namespace holdfast::policy
