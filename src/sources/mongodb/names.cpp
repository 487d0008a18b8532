#include "sources/mongodb/names.h"

#include <fmt/format.h>

namespace holdfast::mongodb {

namespace {

std::string encode(std::string_view name, bool dots) {
    std::string out;
    for (const char c : name)
        out += c == '/' || c == '%' || (dots && c == '.') ? fmt::format("%{:02X}", static_cast<unsigned char>(c))
                                                          : std::string(1, c);
    return out;
}

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Namespace split_namespace(std::string_view text) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) return {std::string(text), ""};
    return {std::string(text.substr(0, dot)), std::string(text.substr(dot + 1))};
}

bool is_buckets(const Namespace& name) { return name.collection.starts_with(buckets_prefix); }

Namespace visible(Namespace name) {
    if (is_buckets(name)) name.collection.erase(0, buckets_prefix.size());
    return name;
}

bool is_temporary(const Namespace& name) {
    const std::string_view text = name.collection;
    if (text.starts_with("tmp.agg_out.") || text.starts_with("tmp.mr.")) return true;
    // "tmp", five signs by chance, and what it is for.
    constexpr std::size_t purpose_at = 8;
    if (!text.starts_with("tmp") || text.size() < purpose_at) return false;
    const std::string_view purpose = text.substr(purpose_at);
    return purpose.starts_with(".convertToCapped.") || purpose == ".renameCollection";
}

std::string encode_database(std::string_view name) {
    std::string out = encode(name, true);
    if (const auto first = static_cast<unsigned char>(name.empty() ? 0 : name.front()); first >= '~')
        out.replace(0, 1, fmt::format("%{:02X}", first));
    return out;
}

std::string encode_collection(std::string_view name) { return encode(name, name == "." || name == ".."); }

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

std::string item_path(const Namespace& name) {
    return encode_database(name.database) + "/" + encode_collection(name.collection);
}

std::string metadata_item(std::string_view database) {
    return encode_database(database) + std::string(metadata_suffix);
}

bool is_metadata(std::string_view path) {
    return path.ends_with(metadata_suffix) && path.find('/') == std::string_view::npos;
}

std::string database_of(std::string_view path) {
    std::string_view part = path.substr(0, path.find('/'));
    if (is_metadata(path)) part.remove_suffix(metadata_suffix.size());
    return decode_part(part);
}

Namespace namespace_of(std::string_view path) {
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos) return {decode_part(path), ""};
    return {decode_part(path.substr(0, slash)), decode_part(path.substr(slash + 1))};
}

}  // namespace holdfast::mongodb
