#include "sources/postgres/toc_select.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::postgres {

namespace {

using Section = TocEntry::Section;

bool is_table(const TocEntry& entry) { return entry.kind == "TABLE" || entry.kind == "FOREIGN TABLE"; }

// Has a life of its own; an index or a default does not.
bool stands_alone(const TocEntry& entry) {
    constexpr std::array<std::string_view, 14> parts{
        "DEFAULT", "SEQUENCE OWNED BY", "SEQUENCE SET", "ACL",     "COMMENT", "SECURITY LABEL", "TABLE ATTACH",
        "INDEX",   "INDEX ATTACH",      "CONSTRAINT",   "TRIGGER", "RULE",    "FK CONSTRAINT",  "POLICY"};
    constexpr std::array<std::string_view, 6> more{"ROW SECURITY",     "STATISTICS",        "TABLE DATA",
                                                   "CHECK CONSTRAINT", "PUBLICATION TABLE", "MATERIALIZED VIEW DATA"};
    return std::ranges::find(parts, entry.kind) == parts.end() && std::ranges::find(more, entry.kind) == more.end();
}

class Selector {
public:
    explicit Selector(const Toc& toc) : toc_(toc) {
        out_.taken.assign(toc.entries.size(), false);
        for (std::size_t i = 0; i < toc.entries.size(); ++i) number_.emplace(toc.entries[i].id, i);
    }

    void take(std::size_t number) {
        if (out_.taken[number]) return;
        out_.taken[number] = true;
        for (const int need : toc_.entries[number].needs)
            if (const auto at = number_.find(need); at != number_.end()) take(at->second);
    }

    // What belongs to entries that are taken, when all that it leads to is taken.
    void take_parts() {
        for (bool grew = true; grew;) {
            grew = false;
            for (std::size_t i = 0; i < toc_.entries.size(); ++i) {
                if (out_.taken[i] || stands_alone(toc_.entries[i]) || toc_.entries[i].is_of_database()) continue;
                if (!leads_to_taken(toc_.entries[i])) continue;
                take_owned_sequences(toc_.entries[i]);
                if (!has_all(toc_.entries[i])) continue;
                out_.taken[i] = true;
                grew = true;
            }
            for (std::size_t i = 0; i < toc_.entries.size(); ++i)
                if (!out_.taken[i] && toc_.entries[i].kind == "SEQUENCE" && is_owned_by_taken(i)) {
                    take(i);
                    grew = true;
                }
        }
        for (std::size_t i = 0; i < toc_.entries.size(); ++i)
            if (!out_.taken[i] && toc_.entries[i].kind == "FK CONSTRAINT" && leads_to_taken(toc_.entries[i]))
                out_.left_out.push_back(toc_.entries[i].tag);
    }

    Selected finish() { return std::move(out_); }

private:
    bool is_taken(int id) const {
        const auto at = number_.find(id);
        return at != number_.end() && out_.taken[at->second];
    }
    bool leads_to_taken(const TocEntry& entry) const {
        return std::ranges::any_of(entry.needs, [&](int id) {
            const auto at = number_.find(id);
            return at != number_.end() && out_.taken[at->second] && toc_.entries[at->second].kind != "SCHEMA";
        });
    }
    bool has_all(const TocEntry& entry) const {
        return std::ranges::all_of(entry.needs, [&](int id) { return !number_.contains(id) || is_taken(id); });
    }
    // DEFAULT nextval(…) needs the sequence; functions that defaults and triggers call come along.
    void take_owned_sequences(const TocEntry& entry) {
        if (entry.kind == "FK CONSTRAINT" || entry.kind == "TABLE ATTACH" || entry.kind == "PUBLICATION TABLE") return;
        for (const int need : entry.needs) {
            const auto at = number_.find(need);
            if (at == number_.end() || out_.taken[at->second] || is_table(toc_.entries[at->second])) continue;
            take(at->second);
        }
    }
    bool is_owned_by_taken(std::size_t number) const {
        const int id = toc_.entries[number].id;
        return std::ranges::any_of(toc_.entries, [&](const TocEntry& each) {
            return each.kind == "SEQUENCE OWNED BY" && std::ranges::find(each.needs, id) != each.needs.end() &&
                   std::ranges::any_of(each.needs, [&](int need) { return need != id && is_taken(need); });
        });
    }

    const Toc& toc_;
    std::unordered_map<int, std::size_t> number_;
    Selected out_;
};

bool is_setting(const TocEntry& entry) {
    return entry.kind == "ENCODING" || entry.kind == "STDSTRINGS" || entry.kind == "SEARCHPATH";
}

}  // namespace

Selected select_all(const Toc& toc) {
    Selected out;
    out.taken.assign(toc.entries.size(), true);
    return out;
}

Selected select_part(const Toc& toc, const Wants& wants_table,
                     const std::function<bool(const std::string&)>& wants_schema) {
    Selector selector(toc);
    for (std::size_t i = 0; i < toc.entries.size(); ++i) {
        const TocEntry& entry = toc.entries[i];
        if (is_setting(entry) || (is_table(entry) && wants_table(entry.schema, entry.tag)) ||
            (!entry.schema.empty() && stands_alone(entry) && wants_schema(entry.schema)) ||
            (entry.kind == "SCHEMA" && wants_schema(entry.tag)))
            selector.take(i);
    }
    selector.take_parts();
    Selected out = selector.finish();
    // Rows of tables that only came along, as what another one needs, are not taken by COPY; extensions' own are.
    for (std::size_t i = 0; i < toc.entries.size(); ++i)
        if (toc.entries[i].kind.starts_with("BLOB")) out.taken[i] = false;
    return out;
}

void leave_out(const Toc& toc, Selected& selected, const std::function<bool(const TocEntry&)>& is_present) {
    std::set<int> gone;
    for (std::size_t i = 0; i < toc.entries.size(); ++i)
        if (selected.taken[i] && stands_alone(toc.entries[i]) && is_present(toc.entries[i])) {
            selected.taken[i] = false;
            gone.insert(toc.entries[i].id);
        }
    for (bool shrunk = true; shrunk;) {
        shrunk = false;
        for (std::size_t i = 0; i < toc.entries.size(); ++i) {
            const TocEntry& entry = toc.entries[i];
            if (!selected.taken[i] || stands_alone(entry) || entry.needs.empty()) continue;
            // Of a foreign key the first table is its own, of other parts any.
            const bool is_of_gone = std::ranges::any_of(entry.needs, [&](int id) { return gone.contains(id); });
            const bool is_new_leading_there =
                entry.kind == "FK CONSTRAINT" &&
                !std::ranges::all_of(entry.needs, [&](int id) { return gone.contains(id); }) &&
                std::ranges::none_of(toc.entries, [&](const TocEntry& each) {
                    return each.kind == "TABLE" && gone.contains(each.id) && each.schema == entry.schema &&
                           entry.tag.starts_with(each.tag + " ");
                });
            if (!is_of_gone || is_new_leading_there) continue;
            selected.taken[i] = false;
            gone.insert(entry.id);
            shrunk = true;
        }
    }
}

Selected indexes_of(const Toc& toc, const Selected& selected, const std::string& schema, const std::string& table) {
    Selected out{std::vector<bool>(toc.entries.size()), {}};
    std::set<int> defined_before;
    int own = 0;
    for (const TocEntry& entry : toc.entries) {
        if (entry.section == TocEntry::Section::pre_data) defined_before.insert(entry.id);
        if (entry.kind == "TABLE" && entry.schema == schema && entry.tag == table) own = entry.id;
    }
    if (own == 0) return out;
    for (std::size_t i = 0; i < toc.entries.size(); ++i) {
        const TocEntry& entry = toc.entries[i];
        out.taken[i] = selected.taken[i] && (entry.kind == "INDEX" || entry.kind == "CONSTRAINT") &&
                       entry.section == TocEntry::Section::post_data &&
                       std::ranges::find(entry.needs, own) != entry.needs.end() &&
                       std::ranges::all_of(entry.needs, [&](int id) { return defined_before.contains(id); });
    }
    return out;
}

// A BLOB is one; a BLOB METADATA (pg_dump 17) has one on each line of its definition.
std::vector<std::string> large_objects_of(const Toc& toc, const Selected& selected) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < toc.entries.size(); ++i) {
        const TocEntry& entry = toc.entries[i];
        if (!selected.taken[i] || (entry.kind != "BLOB" && entry.kind != "BLOB METADATA")) continue;
        for (const std::string& oid : split(entry.kind == "BLOB" ? entry.tag : entry.definition, '\n'))
            if (!oid.empty() && std::ranges::all_of(oid, [](char c) { return c >= '0' && c <= '9'; }))
                out.push_back(oid);
    }
    return out;
}

std::string list_file(const Toc& toc, const Selected& selected) {
    std::string out;
    for (std::size_t i = 0; i < toc.entries.size(); ++i)
        if (selected.taken[i]) out += fmt::format("{};\n", toc.entries[i].id);
    return out;
}

}  // namespace holdfast::postgres
