#include "sources/postgres/toc_owners.h"

#include <algorithm>
#include <array>

#include "clients/postgres/endpoint.h"

namespace holdfast::postgres {

namespace {

constexpr std::array<std::string_view, 4> before_role{" TO ", " FROM ", "FOR ROLE ", "SET SESSION AUTHORIZATION "};
constexpr std::array<std::string_view, 7> behind_role{
    ";", " WITH GRANT OPTION;", " IN SCHEMA ", " GRANT ", " REVOKE ", " USING (", " WITH CHECK ("};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
}

std::string with_roles(std::string text, const Renames& owners) {
    for (const auto& [old, now] : owners)
        for (const std::string& written : {old, quote_name(old)})
            for (const std::string_view before : before_role)
                for (const std::string_view behind : behind_role)
                    replace_all(text, std::string(before) + written + std::string(behind),
                                std::string(before) + quote_name(now) + std::string(behind));
    return text;
}

void append_text(Bytes& to, const std::string& text) {
    append_number(to, static_cast<int>(text.size()));
    append(to, as_bytes(text));
}

}  // namespace

Bytes with_owners(ByteView head, const Toc& toc, const Renames& owners) {
    constexpr std::size_t length_bytes = 5;
    Bytes out;
    std::size_t done = 0;
    const auto replace = [&](std::size_t at, const std::string& was, const std::string& is) {
        if (was == is) return;
        append(out, head.subspan(done, at - done));
        append_text(out, is);
        done = at + length_bytes + was.size();
    };
    for (const TocEntry& entry : toc.entries) {
        if (entry.kind == "ACL" || entry.kind == "DEFAULT ACL" || entry.kind == "POLICY")
            replace(entry.definition_at, entry.definition, with_roles(entry.definition, owners));
        const auto renamed = std::ranges::find(owners, entry.owner, &Renames::value_type::first);
        if (renamed != owners.end()) replace(entry.owner_at, entry.owner, renamed->second);
    }
    append(out, head.subspan(done, toc.end - done));
    return out;
}

}  // namespace holdfast::postgres
