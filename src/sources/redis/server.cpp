#include "sources/redis/server.h"

#include <algorithm>
#include <charconv>

#include "sources/redis/options.h"
#include "sources/redis/throwaway.h"

namespace holdfast::redis {

namespace {

std::uint64_t databases_in(const std::optional<Facts>& facts) {
    std::uint64_t out = 0;
    if (!facts) return out;
    for (const Fact& fact : facts->list) {
        std::uint64_t number = 0;
        const auto [end, problem] = std::from_chars(fact.item.data(), fact.item.data() + fact.item.size(), number);
        if (problem == std::errc{}) out = std::max(out, number + 1);
    }
    return out;
}

class Server final : public ThrowawayServer {
public:
    explicit Server(const ServerRequest& request)
        : throwaway_(request.sandbox, request.sandbox.work() + "/data",
                     {.bin_dir = option_text(request.options, "bin_dir"),
                      .captured_version = captured_version(request.facts),
                      .databases = databases_in(request.facts)}) {}

    std::string target() const override { return throwaway_.runs() ? throwaway_.url() : throwaway_.data(); }
    std::vector<std::string> isolation() const override {
        return throwaway_.runs() ? throwaway_.process()->isolation().kinds() : possible_isolation().kinds();
    }
    std::string log_tail() const override { return throwaway_.runs() ? throwaway_.process()->log_tail() : ""; }

    std::vector<CheckLine> own_checks() override {
        std::vector<CheckLine> out;
        out.push_back(throwaway_.check("redis-check-rdb", "appendonly.aof.1.base.rdb"));
        out.push_back(throwaway_.check("redis-check-aof", "appendonly.aof.manifest"));
        throwaway_.start();
        out.push_back(
            {"redis-server loads it", CheckLine::Result::pass, "loaded", "loaded by " + throwaway_.installed()});
        return out;
    }

private:
    Throwaway throwaway_;
};

}  // namespace

std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request) {
    return std::make_unique<Server>(request);
}

}  // namespace holdfast::redis
