#include "app/traffic.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/crypto.h"

namespace holdfast::app {

namespace {

std::string path_of(const std::string& folder, const std::string& url) {
    return fmt::format("{}/traffic/{}", folder, to_hex(crypto::sha256(as_bytes(url))).substr(0, 16));
}

}  // namespace

Json json_of(const StoreTraffic& traffic) {
    return {{"requests", traffic.requests()},
            {"put", traffic.create.requests},
            {"get", traffic.read.requests + traffic.read_range.requests},
            {"head", traffic.find.requests},
            {"list", traffic.list.requests},
            {"delete", traffic.remove.requests},
            {"bytes", {{"sent", traffic.bytes_sent()}, {"received", traffic.bytes_received()}}}};
}

Json kept_traffic(const std::string& folder, const std::string& url, World& world) {
    try {
        if (const auto bytes = read_file_if_present(path_of(folder, url)))
            if (auto kept = Json::parse(as_text(*bytes)); kept.is_object()) return kept;
    } catch (const std::exception& failure) {
        world.log.warning(fmt::format("what was asked of {} is not known: {}", url, failure.what()));
    }
    return Json::object();
}

void keep_traffic(const std::string& folder, const std::string& url, const std::string& command,
                  const StoreTraffic& traffic, World& world) {
    if (folder.empty() || traffic.requests() == 0) return;
    try {
        Json kept = kept_traffic(folder, url, world);
        kept[command] = json_of(traffic);
        kept[command]["time"] = rfc3339_seconds(world.clock.now());
        const std::string path = path_of(folder, url);
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        write_file_durably(path, as_bytes(kept.dump(2)));
    } catch (const std::exception& failure) {
        world.log.warning(fmt::format("what was asked of {} cannot be kept: {}", url, failure.what()));
    }
}

}  // namespace holdfast::app
