// app/test_types.h: source types for tests of the command line, which capture nothing.
#pragma once

#include <array>

#include "base/error.h"
#include "source/source.h"

namespace holdfast::app::test_types {

class NamedSource final : public Source {
public:
    NamedSource(std::string name, std::string kind, SourceOptions given)
        : options(std::move(given)), name_(std::move(name)), kind_(std::move(kind)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return kind_; }
    std::vector<std::string> describe() const override { return {}; }
    std::unique_ptr<Capture> begin(const CaptureRequest&) override {
        throw Error{Code::source_failed, "{} captures nothing", name_};
    }

    const SourceOptions options;

private:
    std::string name_;
    std::string kind_;
};

inline constexpr std::array files_options{
    SourceOption{"paths", SourceOption::Type::list, "what is captured"},
    SourceOption{"exclude", SourceOption::Type::list, "what is not"},
    SourceOption{"exclude_caches", SourceOption::Type::flag, "skip caches"},
    SourceOption{"exclude_larger", SourceOption::Type::size, "skip large files"},
};
inline constexpr std::array command_options{
    SourceOption{"run", SourceOption::Type::list, "program and arguments"},
    SourceOption{"timeout", SourceOption::Type::duration, "how long it may take"},
    SourceOption{"exclude_caches", SourceOption::Type::flag, "named as the other's"},
};

inline std::unique_ptr<Source> make_files(const std::string& name, const SourceOptions& options) {
    if (!options.contains("paths") && !options.contains("argument"))
        throw Error{Code::config, "source {} has no paths", name}.hint("Name what to back up.");
    return std::make_unique<NamedSource>(name, "files", options);
}
inline std::unique_ptr<Source> make_command(const std::string& name, const SourceOptions& options) {
    return std::make_unique<NamedSource>(name, "command", options);
}
inline std::unique_ptr<Rebuild> no_rebuild(const RebuildRequest&) {
    throw Error{Code::target_failed, "nothing to restore"};
}

inline const SourceType files{"files", "files", "folders", files_options, make_files, no_rebuild};
inline const SourceType command{"command", "command", "commands", command_options, make_command, no_rebuild};
inline const std::array<const SourceType*, 2> all{&files, &command};

}  // namespace holdfast::app::test_types
