#include "sources/mongodb/restore_options.h"

#include "base/error.h"

namespace holdfast::mongodb {

RestoreOptions restore_options(const SourceOptions& options) {
    const auto text = [&](std::string_view name) {
        const auto found = options.find(name);
        return found == options.end() || found->second.empty() ? std::string() : found->second.front();
    };
    RestoreOptions out;
    const std::string existing = text("existing");
    if (existing == "drop")
        out.present = Present::drop;
    else if (existing == "missing")
        out.present = Present::missing;
    else if (existing == "replace")
        out.present = Present::replace;
    else if (!existing.empty() && existing != "fail")
        throw Error{Code::usage, "--existing is fail, drop, missing or replace, not `{}`", existing};
    out.beside = text("beside");
    if (const auto found = options.find("rename"); found != options.end())
        for (const std::string& each : found->second) {
            const std::size_t colon = each.find(':');
            const std::string from = each.substr(0, colon);
            const std::string to = colon == std::string::npos ? "" : each.substr(colon + 1);
            if (from.empty() || to.empty() ||
                (from.find('/') == std::string::npos) != (to.find('/') == std::string::npos))
                throw Error{Code::usage, "--rename needs OLD:NEW, two databases or two DATABASE/COLLECTION, not `{}`",
                            each};
            out.renames.emplace_back(from, to);
        }
    out.into_source = text("into_source") == "true";
    out.older_server = text("older_server") == "true";
    out.with_users = text("with_users") == "true";
    return out;
}

Endpoint server_endpoint(const std::string& url) {
    Endpoint out = Endpoint::parse(url);
    if (out.has_user() && out.option("authSource").empty()) out.set("auth_source", "admin");
    return out;
}

}  // namespace holdfast::mongodb
