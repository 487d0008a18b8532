// app/backup_report.h: what a backup made, for people and programs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/json.h"
#include "app/output.h"
#include "engine/back_up.h"

namespace holdfast::app {

Json json_of(const repo::ItemCounts& items);
Json json_of(const repo::ByteCounts& bytes);

// KEY=VALUE; throws usage.
std::map<std::string, std::string> parse_tags(const std::vector<std::string>& texts);

void print_report(Output& out, const engine::BackupReport& report, bool dry_run);

}  // namespace holdfast::app
