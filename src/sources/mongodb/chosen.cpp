#include "sources/mongodb/chosen.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::mongodb {

namespace {

constexpr std::size_t names_shown_max = 20;

std::string some_of(const std::vector<std::string>& names) {
    const std::span shown(names.data(), std::min(names.size(), names_shown_max));
    return join(shown, ", ") + (shown.size() < names.size() ? ", …" : "");
}

// Patterns against what is there; gives the globs that match nothing.
std::vector<std::string> matched(const Client& client, const char* what, const std::vector<std::string>& patterns,
                                 const std::vector<std::string>& present) {
    std::vector<std::string> idle;
    for (const std::string& each : patterns) {
        if (std::ranges::find(present, each) != present.end()) continue;
        if (has_glob(each)) {
            if (std::ranges::none_of(present, [&](const auto& name) { return glob_match(each, name); }))
                idle.push_back(each);
            continue;
        }
        const auto near = nearest(each, present);
        throw Error{Code::source_failed, "{}: there is no {} {}", client.endpoint().shown(), what, printable(each)}
            .hint(fmt::format("{}The server has: {}.", near ? fmt::format("Did you mean `{}`? ", printable(*near)) : "",
                              printable(some_of(present))));
    }
    return idle;
}

std::vector<std::string> chosen_databases(Client& client, const CaptureOptions& options, const Scope& scope,
                                          std::vector<std::string>& idle) {
    // Without a right to it, servers list only what the user may see: no whole answer to "all" or to a glob.
    const bool is_all = options.databases.empty() || std::ranges::any_of(options.databases, has_glob);
    const std::vector<std::string> present = is_all ? list_all_databases(client) : list_databases(client);
    idle = matched(client, "database", options.databases, present);
    std::vector<std::string> out;
    std::ranges::copy_if(present, std::back_inserter(out),
                         [&](const std::string& name) { return scope.covers_database(name); });
    if (out.empty()) throw Error{Code::source_failed, "{}: no database is chosen", client.endpoint().shown()};
    return out;
}

void refuse_missing_collections(const Client& client, const CaptureOptions& options, const Scope& scope,
                                const std::vector<Namespace>& present, std::vector<std::string>& idle) {
    std::vector<std::string> paths;
    for (const Namespace& each : present) paths.push_back(item_path(each));
    std::ranges::move(matched(client, "collection", options.collections, paths), std::back_inserter(idle));
    const bool is_any = std::ranges::any_of(present, [&](const Namespace& each) { return scope.covers(each); });
    // A database that is empty is captured as such.
    if (!is_any && (!present.empty() || !options.collections.empty()))
        throw Error{Code::source_failed, "{}: no collection is chosen", client.endpoint().shown()}.hint(
            fmt::format("Look at `collections` and `exclude`. The server has: {}.", printable(some_of(paths))));
}

}  // namespace

Chosen choose(Client& client, const CaptureOptions& options, const Scope& scope) {
    Chosen out;
    std::vector<Namespace> present;
    for (const std::string& name : chosen_databases(client, options, scope, out.idle_globs)) {
        std::vector<Collection> collections = list_collections(client, name);
        for (const Collection& each : collections) present.push_back(each.name);
        std::erase_if(collections, [&](const Collection& each) { return !scope.covers(each.name); });
        out.databases.emplace(name, std::move(collections));
    }
    refuse_missing_collections(client, options, scope, present, out.idle_globs);
    return out;
}

std::vector<std::string> refuse_missing(Client& client, const CaptureOptions& options, const Scope& scope) {
    std::vector<std::string> idle;
    std::vector<Namespace> present;
    for (const std::string& name : chosen_databases(client, options, scope, idle))
        std::ranges::move(list_names(client, name), std::back_inserter(present));
    refuse_missing_collections(client, options, scope, present, idle);
    return idle;
}

void tell_of_idle(const Client& client, const std::vector<std::string>& globs) {
    for (const std::string& each : globs)
        client.world().log.warning(fmt::format("{}: nothing matches `{}`", client.endpoint().shown(), printable(each)));
}

}  // namespace holdfast::mongodb
