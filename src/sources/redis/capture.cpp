#include "sources/redis/capture.h"

#include <charconv>

#include "base/text.h"
#include "clients/redis/cluster.h"
#include "clients/redis/discover.h"
#include "sources/redis/advice.h"
#include "sources/redis/own_place.h"
#include "sources/redis/planned_capture.h"
#include "sources/redis/replication.h"
#include "sources/redis/staged_capture.h"

namespace holdfast::redis {

namespace {

// About how many bytes each database has.
std::map<std::uint64_t, std::uint64_t> estimated_bytes(std::string_view info) {
    const auto number = [](std::string_view text) {
        std::uint64_t out = 0;
        std::from_chars(text.data(), text.data() + text.size(), out);
        return out;
    };
    const std::uint64_t all = number(info_value(info, "used_memory_dataset"));
    std::map<std::uint64_t, std::uint64_t> keys;
    std::uint64_t sum = 0;
    for (const std::string& line : split(info, '\n')) {
        const std::size_t colon = line.find(":keys=");
        if (!line.starts_with("db") || colon == std::string::npos) continue;
        const std::uint64_t count = number(std::string_view(line).substr(colon + 6));
        keys[number(std::string_view(line).substr(2, colon - 2))] = count;
        sum += count;
    }
    for (auto& [database, count] : keys)
        count = sum == 0 ? 0
                         : static_cast<std::uint64_t>(static_cast<double>(all) * static_cast<double>(count) /
                                                      static_cast<double>(sum));
    return keys;
}

}  // namespace

std::unique_ptr<Capture> capture_of(World& world, RdbOrigin origin, const RdbInput::Read& read) {
    auto before = MemoryReader::open(memory_path(origin));
    return std::make_unique<PlannedCapture>(world, std::move(origin), std::move(before), read);
}

std::unique_ptr<Capture> capture_while_reading(World& world, RdbOrigin origin, RdbInput::Read read) {
    if (auto before = MemoryReader::open(memory_path(origin)))
        return std::make_unique<PlannedCapture>(world, std::move(origin), std::move(before), read);
    const std::uint64_t stage_bytes = stage_bytes_for(origin);
    return std::make_unique<StagedCapture>(world, std::move(origin), std::move(read), stage_bytes);
}

namespace {

void describe_cluster(World& world, RdbOrigin& origin, Connection& connection, const CaptureOptions& options) {
    const OwnSlots own = own_slots(connection);
    if (!own.nodes.empty()) origin.about.push_back({"", std::string(nodes_fact), join(own.nodes, ",")});
    if (own.served.none()) return;
    const std::string text = to_text(own.served);
    origin.about.push_back({"", std::string(slots_fact), text});
    if (own.served.all() || options.endpoint.slot) return;
    world.log.warning(
        fmt::format("{} is one master of a cluster, and only its keys are captured: those of the slots {}; `cluster: "
                    "true` captures all "
                    "masters",
                    connection.endpoint().place(), text));
}

}  // namespace

void describe_server(World& world, RdbOrigin& origin, Connection& connection, const CaptureOptions& options) {
    if (options.with_settings) origin.settings = settings_texts(connection);
    const Reply got = connection.try_ask({"INFO"});
    for (const Observation& each : advice(got.is_error() ? "" : got.text, settings_of(connection)))
        world.log.warning(each.text);
    if (got.is_error()) return;
    const std::string& info = got.text;
    if (info_value(info, "cluster_enabled") == "1") describe_cluster(world, origin, connection, options);
    origin.bytes = estimated_bytes(info);
    for (const auto& [fact, field] : {std::pair(run_id_fact, "run_id"), {history_fact, "master_replid"}})
        if (const std::string value = info_value(info, field); !value.empty())
            origin.about.push_back({"", std::string(fact), value});
}

std::map<std::uint64_t, std::uint64_t> ask_sizes(Connection& connection) {
    const Reply got = connection.try_ask({"INFO"});
    return got.is_error() ? std::map<std::uint64_t, std::uint64_t>() : estimated_bytes(got.text);
}

std::unique_ptr<Capture> begin_capture(World& world, const CaptureOptions& options) {
    const Endpoint endpoint = discover(world, options.endpoint, options.prefer_replica, Code::source_failed);
    RdbOrigin origin{options.source, options.endpoint.shown()};
    if (endpoint.database) origin.only = static_cast<std::uint64_t>(*endpoint.database);
    {
        Connection asked(world, endpoint, Code::source_failed);
        describe_server(world, origin, asked, options);
    }
    const auto replication = std::make_shared<Replication>(world, endpoint, SyncRequest{.rdb_only = true, .from = {}});
    origin.moment = {replication->position(), replication->answered()};
    return capture_while_reading(world, std::move(origin),
                                 [replication](MutableByteView into) { return replication->read_rdb(into); });
}

}  // namespace holdfast::redis
