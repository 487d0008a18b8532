#include "app/environment.h"

#include "app/backup_sources.h"
#include "app/registry.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "policy/part_name.h"

namespace holdfast::app {

namespace {

// "uploads" stands for "uploads@web1", as it does in --source, and "carts" for its parts.
bool is_called(std::string_view source, std::string_view key) {
    return source == key || source.substr(0, source.rfind('@')) == key || policy::whole_of(source) == key;
}

std::string names_of(const EnvironmentConfig& environment) {
    std::vector<std::string> out;
    for (const auto& [source, target] : environment.targets) out.push_back(source);
    return join(out, ", ");
}

const std::pair<const std::string, std::string>& place_for(const EnvironmentConfig& environment,
                                                           const std::optional<std::string>& source) {
    if (!source && environment.targets.size() == 1) return *environment.targets.begin();
    if (!source)
        throw Error{Code::usage, "environment {} has several sources: {}", environment.name, names_of(environment)}
            .hint("Choose one with --source.");
    for (const auto& place : environment.targets)
        if (is_called(*source, place.first)) return place;
    throw Error{Code::usage, "environment {} has no place for source {}", environment.name, *source}.hint(
        fmt::format("It has places for: {}. Add it in {}.", names_of(environment), environment.where));
}

}  // namespace

std::optional<std::string> place_in_environment(Context& context, const std::string& name,
                                                const std::optional<std::string>& source) {
    if (name.empty() || name.find('/') != std::string::npos) return std::nullopt;
    const EnvironmentConfig* const environment = context.config().environment(name);
    if (environment == nullptr) return std::nullopt;
    const auto& [key, target] = place_for(*environment, source);
    auto reference = parse_reference(target);
    if (!reference) return target;
    reference->where = fmt::format("{}: `{}` of environment `{}`", environment->where, key, name);
    return context.secrets.text_of(*reference);
}

void refuse_the_source(Context& context, const SourceType& type, const repo::Snapshot& snapshot,
                       const std::optional<Facts>& facts, const std::string& environment, const std::string& target) {
    if (type.is_own_place == nullptr) return;
    std::vector<std::string> described = snapshot.describes;
    // It may have moved since.
    if (const SourceConfig* const configured =
            context.config().source(std::string(policy::whole_of(snapshot.source)))) {
        SourceRequest request;
        request.words = {configured->name};
        const auto sources = make_sources(
            request, source_types(), [&]() -> const Config& { return context.config(); },
            [&](const SecretReference& reference) { return context.secrets.text_of(reference); });
        for (std::string& each : sources.front()->describe()) described.push_back(std::move(each));
    }
    const std::string why = type.is_own_place({context.world, target, facts.value_or(Facts{}), described});
    if (why.empty()) return;
    throw Error{Code::target_failed, "environment {} points at what snapshot {} was made of: {}", environment,
                snapshot.id.short_hex(), why}
        .unharmed("nothing was changed there")
        .hint(fmt::format("Correct `environments` in {}.", context.config().path));
}

}  // namespace holdfast::app
