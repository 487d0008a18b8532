// engine/checks.h: a source's own checks of what was restored, as its configuration says them.
//
// Shape    one line for each check: pass, fail, or not_tested where it cannot be run; a check that hangs is ended and fails
// Errors   cancelled
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/world.h"
#include "source/source.h"

namespace holdfast {
class Sandbox;
}

namespace holdfast::engine {

struct Check {
    enum class Kind : std::uint8_t { sql, exec, http };
    Kind kind = Kind::sql;
    std::string sql = {};
    std::vector<std::string> exec = {};  // its words; it passes when it exits 0
    std::string url = {};                // of http
    std::string database = {};  // of sql; empty: the one that the target names, or the only one that was captured
    std::string expect = {};    // policy/expect.h: of sql what it gives; of http the status, by a `~` the body
    Nanoseconds timeout = 30 * one_second;
};
std::string name_of(const Check& check);
// The one database that facts speak of; empty: none, or several.
std::string only_database(const std::optional<Facts>& facts);

struct CheckPlace {
    World& world;
    const SourceType& type;
    std::string target;    // folder or URL
    std::string database;  // where queries go that name none, when the target names none either
    std::string source;    // HOLDFAST_SOURCE, and so on
    std::string snapshot;
    Sandbox* sandbox = nullptr;  // exec runs inside; null: on this machine, as after a restore
    bool allow_unisolated = false;
};
std::vector<CheckLine> run_checks(const std::vector<Check>& checks, const CheckPlace& place);

}  // namespace holdfast::engine
