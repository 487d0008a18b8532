// sources/redis/server_files.h: a server's own files as a source: its append-only files, or the RDB file of a BGSAVE.
//
// Shape    for programs on the server's machine, or that see its folder; the server need not take a replica
// Errors   source_failed, corrupt
// Threads  as Capture says
// Limits   append-only files are copied into a sandbox and loaded there by a redis-server of this machine
#pragma once

#include <memory>
#include <string>

#include "sandbox/sandbox.h"
#include "sources/redis/capture.h"

namespace holdfast::redis {

// Where the append-only files are, as the options or the server say.
std::string append_folder(World& world, const CaptureOptions& options);

// What `data`/appendonlydir in the sandbox holds.
std::unique_ptr<Capture> capture_loaded(Sandbox& sandbox, const std::string& data, const std::string& bin_dir,
                                        RdbOrigin origin);
std::unique_ptr<Capture> capture_rdb_file(World& world, const std::string& path, RdbOrigin origin,
                                          std::function<void(std::uint64_t)> on_bytes = {});

struct AppendFolderCapture {
    std::unique_ptr<Capture> capture;
    Moment moment;
};
AppendFolderCapture capture_append_folder(World& world, const CaptureOptions& options);
std::unique_ptr<Capture> capture_by_bgsave(World& world, const CaptureOptions& options);

}  // namespace holdfast::redis
