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

constexpr std::array<LintRule, 17> rules{{
    {"rpo-unattainable", Severity::error},
    {"unprotected", Severity::error},
    {"never-due", Severity::error},
    {"drops-last-good", Severity::error},
    {"secret-in-clear", Severity::error},
    {"threshold-beyond-objective", Severity::warning},
    {"no-proof", Severity::warning},
    {"only-by-hand", Severity::warning},
    {"window-beyond-retention", Severity::warning},
    {"window-without-follow", Severity::warning},
    {"copies", Severity::warning},
    {"database-left-out", Severity::warning},
    {"no-retention", Severity::warning},
    {"nothing-forgets", Severity::warning},
    {"nothing-prunes", Severity::warning},
    {"compressed-before", Severity::warning},
    {"misleading-command", Severity::warning},
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
        bool is_proven = false;
        for (const Job& job : input_.jobs) {
            if (is<BackupTask>(job) && covers(job, source.name)) backups.push_back(&job);
            is_proven = is_proven || (is<ProveTask>(job) && (job.sources.empty() || covers(job, source.name)));
        }
        if (backups.empty() && !source.follow) {
            add("unprotected", source.where, fmt::format("no job backs up source `{}`", source.name),
                "It is configured, so somebody counts on it; nothing of it is stored unless somebody thinks of it.",
                fmt::format("Name it in the `sources` of a job: `sources: [{}]`.", source.name));
            return;
        }
        if (!is_proven)
            add("no-proof", source.where, fmt::format("no job proves source `{}`", source.name),
                "A backup that was never restored may be worth nothing, and nobody would know.",
                "Add a job such as `{prove: {pick: random}, schedule: \"0 6 * * 0\"}`.");
        look_at_objective(source, backups);
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

    void look_at_window(const LintSource& source, const std::vector<const Job*>& backups) {
        if (!source.window) return;
        if (!source.follow) {
            add("window-without-follow", source.where,
                fmt::format("source `{}` has a `window`, but is not followed", source.name),
                "Without `follow: true` there is no journal, so only the snapshots' own instants can be reached.",
                "Set `follow: true`, or remove `window`.");
            return;
        }
        Nanoseconds longest = 0;
        for (const Job* job : backups) {
            if (!job->retention) return;
            longest = std::max(longest, reach(job->retention->rules, timing_.gap(*job).value_or(one_day)));
        }
        if (backups.empty() || longest >= *source.window) return;
        add("window-beyond-retention", source.where,
            fmt::format("every instant of source `{}` shall stay reachable for {}, but its snapshots are kept for {}",
                        source.name, human_duration(*source.window), human_duration(longest)),
            "The window needs the snapshot that it begins with: that one stays longer than the retention says.",
            "Keep snapshots at least as long as the window, or shorten it.");
    }

    void look_at(const Job& job) {
        if (job.schedule && !job.schedule->next(input_.now))
            add("never-due", job.where, fmt::format("job `{}` is never due", job.name),
                fmt::format("There is no time that fits `{}`.", job.schedule->text()), "Correct its `schedule`.");
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

    // Three copies with the original, on two media, one of them off-site.
    void look_at_copies(const Job& job) {
        std::set<std::string> names(job.copies.begin(), job.copies.end());
        names.insert(job.repository.empty() ? input_.main_repository : job.repository);
        std::size_t count = 1;
        std::set<std::string> media{"disk"};  // of the original
        bool is_offsite = false;
        bool is_said = true;
        for (const LintRepository& each : input_.repositories) {
            if (!names.contains(each.name) && !names.contains(each.replica_of)) continue;
            ++count;
            if (!each.medium.empty()) media.insert(each.medium);
            is_offsite = is_offsite || each.offsite;
            is_said = is_said && !each.medium.empty() && !each.site.empty();
        }
        std::vector<std::string> missing;
        if (count < 3) missing.push_back(count == 1 ? "no copy" : "one copy beside the original only");
        if (media.size() < 2) missing.emplace_back("one medium only");
        if (!is_offsite) missing.emplace_back("none off-site");
        if (missing.empty()) return;
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
            add("secret-in-clear", text.where, fmt::format("a command of {} has a secret in it", text.of),
                "Whoever can read the file, or the list of processes, has it.",
                "Let the command read it itself, from a file or its environment.");
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

std::vector<LintFinding> lint(const LintInput& input) { return Linter(input).run(); }

std::span<const LintRule> lint_rules() { return rules; }

}  // namespace holdfast::policy
