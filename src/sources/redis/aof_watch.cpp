#include "sources/redis/aof_watch.h"

#include "base/error.h"
#include "clients/redis/discover.h"

namespace holdfast::redis {

std::optional<AofWatch::Said> AofWatch::ask() {
    if (!options_.data_dir.empty() || world_.clock.steady() < again_at_) return std::nullopt;
    try {
        if (!connection_)
            connection_ = std::make_unique<Connection>(
                world_, discover(world_, options_.endpoint, false, Code::source_failed), Code::source_failed);
        for (const char* const section : {"server", "persistence", "commandstats"}) connection_->put({"INFO", section});
        const Reply server = connection_->reply(), persistence = connection_->reply(), commands = connection_->reply();
        const std::string on = info_value(persistence.text, "aof_enabled");
        if (on.empty()) return std::nullopt;
        const std::string config = info_value(commands.text, "cmdstat_config|set");  // "calls=3,usec=…"
        return Said{on == "1",
                    info_value(persistence.text, "aof_last_write_status") == "ok" &&
                        info_value(persistence.text, "aof_buffer_length") == "0",
                    fmt::format("{} {}", info_value(server.text, "run_id"), config.substr(0, config.find(',')))};
    } catch (const Error& error) {
        if (error.code() != Code::source_failed) throw;
        connection_.reset();
        again_at_ = world_.clock.steady() + one_second;
        return std::nullopt;
    }
}

}  // namespace holdfast::redis
