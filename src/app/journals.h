// app/journals.h: what the command line and the configuration say about journals.
//
// Errors   usage, partial
#pragma once

#include <string>

#include "app/context.h"
#include "engine/maintain.h"

namespace holdfast::app {

// `window:` of each configured source, or of its jobs' retention when that is longer; `given` (--journal-window) is for all of these sources instead.
engine::JournalWindows journal_windows(Context& context, const repo::Repository& repository,
                                       std::optional<Nanoseconds> given);

// The one source of this name that has a journal; empty: the only one. not_found else.
std::string source_with_journal(const repo::Repository& repository, const std::string& name);

// partial when prune had to leave journals as they were.
void require_all_kept(const engine::PruneReport& report);

}  // namespace holdfast::app
