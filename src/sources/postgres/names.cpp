#include "sources/postgres/names.h"

#include "base/item.h"
#include "base/text.h"

namespace holdfast::postgres {

namespace {

bool is_taken(std::string_view name) {
    return name == globals_item || name == archive_name || name == "." || name == "..";
}

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string encode_part(std::string_view name) {
    const bool taken = is_taken(name);
    std::string out;
    for (const char c : name) {
        if (c == '/')
            out += "%2F";
        else if (c == '%')
            out += "%25";
        else if (c == '.' && taken)
            out += "%2E";
        else
            out += c;
    }
    return out;
}

std::string decode_part(std::string_view part) {
    std::string out;
    for (std::size_t i = 0; i < part.size(); ++i) {
        if (part[i] == '%' && i + 2 < part.size() && digit(part[i + 1]) >= 0 && digit(part[i + 2]) >= 0) {
            out += static_cast<char>(digit(part[i + 1]) * 16 + digit(part[i + 2]));
            i += 2;
        } else {
            out += part[i];
        }
    }
    return out;
}

std::string item_path(std::string_view database, std::string_view schema, std::string_view table) {
    return encode_part(database) + "/" + encode_part(schema) + "/" + encode_part(table);
}

std::vector<std::string> parts_of(std::string_view path) {
    std::vector<std::string> out = split(path, '/');
    for (std::string& part : out) part = decode_part(part);
    return out;
}

bool is_archive(std::string_view path) {
    const auto [folder, name] = split_path(path);
    return name == archive_name && !folder.empty() && folder.find('/') == std::string_view::npos;
}

}  // namespace holdfast::postgres
