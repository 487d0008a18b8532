// engine/journals.h: what retention means for the journals of sources.
//
// Errors   those of reading a journal
#pragma once

#include <set>

#include "engine/maintain.h"

namespace holdfast::engine {

// Bases that windows need: they are not to be forgotten. Throws retention when the clock cannot say what they need.
std::set<repo::SnapshotId> bases_of_windows(const repo::Repository& repository, const JournalWindows& windows,
                                            bool trust_clock);

// Removes what no window needs, and puts together what is left in many small objects. Journals that are damaged, or have a
// window while the clock cannot be trusted, are left alone, which is a warning.
void keep_journals(const repo::Repository& repository, const PrunePlan& plan, PruneReport& report);

}  // namespace holdfast::engine
