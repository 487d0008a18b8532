#include "sources/mongodb/ttl_pause.h"

#include "base/error.h"

namespace holdfast::mongodb {

namespace {

constexpr auto parameter = "ttlMonitorEnabled";

Bytes setting(bool value) { return Builder().i32("setParameter", 1).boolean(parameter, value).done(); }

}  // namespace

void TtlPause::begin() {
    if (std::exchange(was_asked_, true)) return;
    const auto client = pool_.lease();
    const Reply now = client->ask("admin", Builder().i32("getParameter", 1).i32(parameter, 1).done());
    const auto value = now.ok() ? find(now.document, parameter) : std::nullopt;
    if (value && !value->is_true()) return;
    const Reply reply = client->ask("admin", setting(false));
    is_paused_ = reply.ok();
    if (!is_paused_)
        client->world().log.warning(fmt::format(
            "{} goes on deleting expired documents during the restore: setParameter {}: {}. The role `hostManager` may "
            "switch that off",
            client->endpoint().shown(), parameter, reply.message));
}

void TtlPause::end() noexcept {
    if (!std::exchange(is_paused_, false)) return;
    try {
        // Also when the restore was stopped.
        Stop never;
        World& world = pool_.world();
        World calm{world.clock, world.random, never, world.log};
        Client client(calm, pool_.endpoint(), pool_.failure(), true);
        (void)client.run("admin", setting(true));
    } catch (const std::exception& error) {
        pool_.world().log.warning(
            fmt::format("{}: deleting expired documents is still off ({}): switch it on with "
                        "setParameter {}: true",
                        pool_.endpoint().shown(), error.what(), parameter));
    }
}

}  // namespace holdfast::mongodb
