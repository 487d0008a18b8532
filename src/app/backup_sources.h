// app/backup_sources.h: the sources that a `backup` names, or describes on the command line.
//
// Errors   usage, with the nearest right name; config from a source's own rules
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/config.h"
#include "source/source.h"

namespace holdfast::app {

struct SourceRequest {
    std::vector<std::string> words;  // "uploads", "files:/etc", "command:db", "-"
    bool all = false;
    std::vector<std::string> command_line;  // after "--"
    std::optional<std::string> name;        // instead of the one an ad hoc source gets
    std::string host;
    SourceOptions options;  // from the command line, for each named source that knows them
};

// What "env:NAME" and its like stand for.
using ResolveReference = std::function<std::string(const SecretReference&)>;

// `types` find what "scheme:" means; the configuration is asked for only when it is needed.
std::vector<std::unique_ptr<Source>> make_sources(const SourceRequest& request,
                                                  std::span<const SourceType* const> types,
                                                  const std::function<const Config&()>& config,
                                                  const ResolveReference& resolve = {});

// What a configured source says, with references replaced by what they stand for.
SourceOptions resolved_options(const SourceConfig& source, const SourceType& type, const ResolveReference& resolve);

// Options of source types that the command line offers, each name once.
std::vector<SourceOption> command_line_options(std::span<const SourceType* const> types);

}  // namespace holdfast::app
