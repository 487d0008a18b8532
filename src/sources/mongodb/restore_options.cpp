#include "sources/mongodb/restore_options.h"

#include "base/error.h"

namespace holdfast::mongodb {

RestoreOptions restore_options(const SourceOptions& options) {
    RestoreOptions out;
    out.present = present_of(options);
    out.beside = option_text(options, "beside");
    for (const std::string& each : option_list(options, "rename")) {
        const std::size_t colon = each.find(':');
        const std::string from = each.substr(0, colon);
        const std::string to = colon == std::string::npos ? "" : each.substr(colon + 1);
        if (from.empty() || to.empty() || (from.find('/') == std::string::npos) != (to.find('/') == std::string::npos))
            throw Error{Code::usage, "--rename needs OLD:NEW, two databases or two DATABASE/COLLECTION, not `{}`",
                        each};
        out.renames.emplace_back(from, to);
    }
    out.into_source = option_text(options, "into_source") == "true";
    out.older_server = option_text(options, "older_server") == "true";
    if (const std::string query = option_text(options, "query"); !query.empty()) out.query = from_json(query);
    out.with_users = option_text(options, "with_users") == "true";
    return out;
}

Endpoint server_endpoint(const std::string& url) {
    Endpoint out = Endpoint::parse(url);
    if (out.has_user() && out.option("authSource").empty()) out.set("auth_source", "admin");
    return out;
}

}  // namespace holdfast::mongodb
