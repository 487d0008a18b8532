// sources/redis/aof_watch.h: asks a server whether it writes all that it does to its append-only files.
//
// Errors   none: a server that does not answer says nothing
// Threads  one
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "clients/redis/connection.h"
#include "sources/redis/options.h"

namespace holdfast::redis {

class AofWatch {
public:
    AofWatch(World& world, const CaptureOptions& options) : world_(world), options_(options) {}

    struct Said {
        bool is_on = false;
        bool is_written = false;  // all that it did until it was asked
        // Another one: it may have been off meanwhile.
        std::string process_and_settings;
    };
    // Nothing: nobody answers, or nobody is to be asked (`data_dir`).
    std::optional<Said> ask();

private:
    World& world_;
    const CaptureOptions& options_;
    std::unique_ptr<Connection> connection_;
    Nanoseconds again_at_ = 0;  // steady
};

}  // namespace holdfast::redis
