#include "app/journals.h"

#include <algorithm>

#include "app/output.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/windows.h"
#include "policy/keep_policies.h"
#include "policy/part_name.h"

namespace holdfast::app {

engine::JournalWindows journal_windows(Context& context, const repo::Repository& repository,
                                       std::optional<Nanoseconds> given) {
    engine::JournalWindows out;
    if (given) {
        for (const std::string& source : engine::sources_with_journals(repository)) out[source] = *given;
        return out;
    }
    const policy::KeepPolicies policies(context.config().jobs, {});
    for (const SourceConfig& source : context.config().sources)
        if (const auto window = std::max(source.window, policies.window_of(source.name))) out[source.name] = *window;
    for (const std::string& source : engine::sources_with_journals(repository))
        if (const auto whole = out.find(std::string(policy::whole_of(source))); whole != out.end())
            out.try_emplace(source, whole->second);
    return out;
}

std::string source_with_journal(const repo::Repository& repository, const std::string& name) {
    const std::vector<std::string> all = engine::sources_with_journals(repository);
    std::vector<std::string> found;
    for (const std::string& source : all)
        if (name.empty() || source == name || source.substr(0, source.rfind('@')) == name) found.push_back(source);
    if (found.size() == 1) return found.front();
    if (found.size() > 1)
        throw Error{Code::usage, "{} sources have a journal: {}", found.size(), join(found, ", ")}.hint("Name one.");
    Error error = name.empty() ? Error{Code::not_found, "no source has a journal yet"}
                               : Error{Code::not_found, "there is no journal of {}", name};
    if (all.empty()) throw std::move(error).hint("`holdfast follow SOURCE` makes one.");
    throw std::move(error).hint(fmt::format("There are journals of: {}.", join(all, ", ")));
}

void require_all_kept(const engine::PruneReport& report) {
    if (report.journals_left.empty()) return;
    std::vector<std::string> sources;
    for (const auto& [source, why] : report.journals_left) sources.push_back(source);
    const bool one = sources.size() == 1;
    throw Error{Code::partial,
                "the {} of {} {}: {}",
                one ? "journal" : "journals",
                join(sources, ", "),
                one ? "was left as it is" : "were left as they are",
                report.journals_left.front().why}
        .unharmed("nothing was removed there")
        .hint(
            "A clock that jumped: correct it, or say --clock-is-right when it is right. Damage: `holdfast check` says "
            "what it is.");
}

}  // namespace holdfast::app
