// sandbox/isolation.h: what keeps a process of a sandbox from the rest of the machine.
//
// Shape    each kind by itself, because machines refuse some of them: pods, AppArmor, limits on name spaces
// Source   design section 6; review.md D1
#pragma once

#include <string>
#include <vector>

namespace holdfast {

struct Isolation {
    bool uid = false;           // a user that nobody else is: it can read none of our files
    bool user = false;          // a user name space of its own
    bool pid = false;           // sees only its own processes, which all end with the first
    bool mount = false;         // sees programs and its own folder, nothing else
    bool network = false;       // no interface but its own loopback
    bool ipc = false;           // no shared memory of others
    bool no_new_privs = false;  // no setuid program gives it rights
    bool operator==(const Isolation&) const = default;

    // Enough for what may be hostile. Only root can become another user; for others their own mount name space
    // hides what is theirs.
    bool is_complete() const;
    std::vector<std::string> kinds() const;
    std::vector<std::string> missing() const;
};

// What this machine gives; tried out once.
const Isolation& possible_isolation();

}  // namespace holdfast
