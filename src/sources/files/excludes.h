// sources/files/excludes.h: which names a capture leaves out.
//
// Shape    patterns as in a .gitignore file: "*.tmp" is any name at any depth, "/srv/cache" one path, "a/b" a
//          path that ends so, "**" any number of folders, "name/" folders only, "!pattern" takes back in; the
//          last match counts
// Threads  immutable after construction; an InFolder belongs to one thread
// Limits   what lies in a folder that is left out is left out with it, also when a later "!pattern" matches
//          it
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::files {

// One pattern, compiled.
struct ExcludeRule {
    enum class Form : std::uint8_t { literal, prefix, suffix, glob };
    std::string folder;   // where it holds, when `one_folder`
    std::string pattern;  // of the name, or with `whole_path` of the path
    Form form = Form::glob;
    bool one_folder = false;
    bool whole_path = false;
    bool folders_only = false;
    bool takes_back = false;

    bool matches(std::string_view text) const;
};

class Excludes {
public:
    Excludes() = default;
    explicit Excludes(std::span<const std::string> patterns);
    bool empty() const { return rules_.empty(); }
    std::uint32_t hash() const { return hash_; }  // of the patterns; 0: none

    // The rules as they stand in one folder. It refers to the Excludes.
    class InFolder {
    public:
        InFolder(const Excludes& excludes, std::string_view folder);
        bool empty() const { return rules_.empty(); }
        bool leaves_out(std::string_view name, bool is_folder);

    private:
        std::vector<const ExcludeRule*> rules_;  // last first
        std::string path_;                       // the folder and '/', then the name in question
        std::size_t folder_bytes_ = 0;
    };

private:
    friend class InFolder;
    std::vector<ExcludeRule> rules_;
    std::uint32_t hash_ = 0;
};

// Patterns as lines of a file: '#' begins a comment, empty lines and blanks at the end of a line mean
// nothing.
std::vector<std::string> patterns_of_lines(std::string_view text);

}  // namespace holdfast::files
