// engine/import.h: the verb that makes a snapshot of a dump that another program made.
//
// Shape    a sandbox, the dump loaded into it by its source type, a backup of what it became
// Errors   those of back_up(); failed where this machine isolates no processes; no_space of the sandbox
// I1       nothing is committed unless all of the dump was loaded
#pragma once

#include <functional>
#include <string>

#include "engine/back_up.h"
#include "source/source.h"

namespace holdfast::engine {

struct ImportPlan {
    std::string path;
    std::string source;     // whose snapshot it becomes
    SourceOptions options;  // of the source type's import_options
    BackupPlan backup;
    std::string sandbox_root;
    bool allow_unisolated = false;
};

// `loading`: bytes of the dump; then `loaded` is called; `capturing`: of what it became.
BackupReport import_dump(repo::Repository& repository, const SourceType& type, const ImportPlan& plan,
                         Progress& loading, Progress& capturing, const std::function<void()>& loaded);

}  // namespace holdfast::engine
