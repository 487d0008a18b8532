#include "golden.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "crypto/crypto.h"

namespace holdfast::golden {

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c > ' ' && c < 0x7f && c != '%')
            out += c;
        else
            out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

std::vector<std::string> describe_folder(const std::string& folder) {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        const std::string path = escaped(entry.path().string().substr(folder.size() + 1));
        if (entry.is_symlink()) {
            out.push_back(fmt::format("link {} {}", escaped(read_symlink(entry.path()).string()), path));
        } else if (entry.is_directory()) {
            out.push_back("folder " + path);
        } else {
            const Bytes bytes = read_file(entry.path());
            out.push_back(fmt::format("file {} {} {}", to_hex(crypto::sha256(bytes)), bytes.size(), path));
        }
    }
    std::ranges::sort(out);
    return out;
}

std::vector<std::string> describe_facts(const Facts& facts) {
    std::vector<std::string> out;
    for (const Fact& fact : facts.list)
        out.push_back(fmt::format("fact {} {} {}", escaped(fact.item), escaped(fact.name), escaped(fact.value)));
    return out;
}

void pack_folder(const std::string& folder, const std::string& archive) {
    run_and_read({.argv = {"tar", "--create", "--file", archive, "--directory", folder, "--sort=name", "--mtime=@0",
                           "--owner=0", "--group=0", "--mode=u+w", "."},
                  .add_environment = {}});
}

void unpack_folder(const std::string& archive, const std::string& folder) {
    std::filesystem::create_directories(folder);
    run_and_read({.argv = {"tar", "--extract", "--file", archive, "--directory", folder, "--no-same-owner"},
                  .add_environment = {}});
}

}  // namespace holdfast::golden
