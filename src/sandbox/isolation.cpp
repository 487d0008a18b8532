#include "sandbox/isolation.h"

#include <unistd.h>

#include <array>
#include <string_view>

#include "base/error.h"
#include "sandbox/process.h"

namespace holdfast {

namespace {

struct Named {
    std::string_view name;
    bool Isolation::*is;
};
constexpr std::array all{Named{"uid", &Isolation::uid},
                         Named{"user", &Isolation::user},
                         Named{"pid", &Isolation::pid},
                         Named{"mount", &Isolation::mount},
                         Named{"network", &Isolation::network},
                         Named{"ipc", &Isolation::ipc},
                         Named{"no_new_privs", &Isolation::no_new_privs}};
constexpr std::chrono::seconds try_max{10};

class Silent final : public Log {
public:
    void write(Level, std::string_view) override {}
};

// Whether a process can be had that is so far from the others.
bool can_be(const Isolation& wanted) {
    Silent log;
    Stop stop;
    World world{system_clock(), system_random(), stop, log};
    try {
        const TemporaryFolder folder("holdfast-try-");
        Sandbox sandbox(world, folder.path() + "/sandbox", 0);
        SandboxProcess process(sandbox, {.argv = {"/bin/true"}}, wanted);
        const auto end = process.wait_until(std::chrono::steady_clock::now() + try_max);
        return end && end->ok();
    } catch (const Error&) {
        return false;
    }
}

Isolation find_out() {
    const bool is_root = ::geteuid() == 0;
    const Isolation full{is_root, true, true, true, true, true, true};
    Isolation without_user = full, without_mount = full;
    without_user.user = false;
    without_mount.mount = false;
    for (const Isolation& each : {full, is_root ? without_user : without_mount, without_mount}) {
        if (can_be(each)) return each;
    }
    const Isolation only_uid{.uid = is_root, .no_new_privs = true};
    return can_be(only_uid) ? only_uid : Isolation{.no_new_privs = true};
}

}  // namespace

bool Isolation::is_complete() const {
    return (uid || ::geteuid() != 0) && user && pid && mount && network && ipc && no_new_privs;
}

std::vector<std::string> Isolation::kinds() const {
    std::vector<std::string> out;
    for (const Named& each : all)
        if (this->*each.is) out.emplace_back(each.name);
    return out;
}

std::vector<std::string> Isolation::missing() const {
    std::vector<std::string> out;
    for (const Named& each : all)
        if (!(this->*each.is)) out.emplace_back(each.name);
    return out;
}

const Isolation& possible_isolation() {
    static const Isolation out = find_out();
    return out;
}

}  // namespace holdfast
