#include "app/json.h"

#include "base/text.h"

namespace holdfast::app {

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void add_path(Json& to, std::string_view path) {
    to["path"] = to_valid_utf8(path);
    if (!is_utf8(path)) to["path_b64"] = to_base64(as_bytes(path));
}

Json json_of(const Error& error) {
    Json notes = Json::array();
    for (const std::string& note : error.notes()) notes.push_back("while " + note);
    if (!error.unharmed().empty()) notes.push_back(error.unharmed());
    return {
        {"type", "error"},      {"code", info_of(error.code()).slug}, {"message", error.message()}, {"notes", notes},
        {"hint", error.hint()}, {"exit", error.exit_status()}};
}

Json json_of(const Item& item) {
    Json out;
    add_path(out, item.path);
    out["type"] = name_of(item.kind);
    out["size"] = item.size;
    out["mode"] = item.mode;
    out["uid"] = item.uid;
    out["gid"] = item.gid;
    Nanoseconds time = 0;
    const bool fits = !__builtin_mul_overflow(item.mtime_s, one_second, &time) &&
                      !__builtin_add_overflow(time, static_cast<Nanoseconds>(item.mtime_ns), &time);
    out["mtime"] = fits ? Json(rfc3339(time)) : Json(item.mtime_s);
    if (!item.user.empty()) out["user"] = item.user;
    if (!item.group.empty()) out["group"] = item.group;
    if (!item.link.empty()) {
        out["target"] = to_valid_utf8(item.link);
        if (!is_utf8(item.link)) out["target_b64"] = to_base64(as_bytes(item.link));
    }
    return out;
}

Json json_of(const Finding& finding) {
    Json out{{"type", "finding"}};
    add_path(out, finding.path);
    out["kind"] = name_of(finding.kind);
    out["text"] = finding.text;
    return out;
}

Json ids_of(const std::vector<repo::SnapshotId>& ids) {
    Json out = Json::array();
    for (const repo::SnapshotId& id : ids) out.push_back(id.hex());
    return out;
}

}  // namespace holdfast::app
