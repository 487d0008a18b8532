#include "repo/distrust.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast::repo {

namespace {

std::string path_of(const Repository& repository) {
    return fmt::format("{}/damaged/{}", repository.client_folder(), repository.local_name());
}

}  // namespace

std::set<PackId> read_distrusted(const Repository& repository) {
    std::set<PackId> out;
    if (repository.client_folder().empty()) return out;
    try {
        const auto bytes = read_file_if_present(path_of(repository));
        if (!bytes) return out;
        for (const std::string& line : split(as_text(*bytes), '\n'))
            if (const auto id = PackId::from_hex_text(line)) out.insert(*id);
    } catch (const Error& error) {
        repository.world().log.warning(fmt::format("which packs are damaged is not known: {}", error.message()));
    }
    return out;
}

void write_distrusted(const Repository& repository, const std::set<PackId>& packs) {
    if (repository.client_folder().empty() || packs == read_distrusted(repository)) return;
    std::string text;
    for (const PackId& pack : packs) text += pack.hex() + "\n";
    try {
        const std::string path = path_of(repository);
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        write_file_durably(path, as_bytes(text));
    } catch (const std::exception& failure) {
        repository.world().log.warning(fmt::format("which packs are damaged cannot be kept: {}", failure.what()));
    }
}

}  // namespace holdfast::repo
