#include "ledger/schema.h"

#include <array>

#include "base/error.h"

namespace holdfast::ledger {

namespace {

// One element brings a ledger from the version of its place to the next; elements are never changed, only added.
constexpr std::array<std::string_view, 3> migrations{R"sql(
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    job TEXT NOT NULL,
    verb TEXT NOT NULL,
    repository TEXT NOT NULL,
    state TEXT NOT NULL,
    due BIGINT NOT NULL,
    start_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    host TEXT NOT NULL,
    code TEXT NOT NULL,
    error TEXT NOT NULL,
    what TEXT NOT NULL,
    items BIGINT NOT NULL,
    items_total BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    bytes_total BIGINT NOT NULL,
    alone BIGINT NOT NULL,
    stop BIGINT NOT NULL,
    holder TEXT NOT NULL,
    lease BIGINT NOT NULL
);
CREATE UNIQUE INDEX runs_once ON runs (job, due, attempt) WHERE job <> '';
CREATE UNIQUE INDEX runs_alone ON runs (job) WHERE job <> '' AND state = 'running' AND alone = 1;
CREATE INDEX runs_by_job ON runs (job, due, attempt);
CREATE INDEX runs_by_time ON runs (due);
CREATE INDEX runs_by_state ON runs (state);
CREATE TABLE outcomes (
    run TEXT NOT NULL,
    n BIGINT NOT NULL,
    source TEXT NOT NULL,
    component TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    result TEXT NOT NULL,
    error TEXT NOT NULL,
    proof_level BIGINT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    restore_seconds DOUBLE PRECISION NOT NULL,
    bytes BIGINT NOT NULL,
    stored BIGINT NOT NULL,
    items BIGINT NOT NULL,
    PRIMARY KEY (run, n)
);
CREATE INDEX outcomes_by_source ON outcomes (source);
CREATE INDEX outcomes_by_snapshot ON outcomes (snapshot);
CREATE INDEX outcomes_proofs ON outcomes (source) WHERE proof_level >= 0;
CREATE TABLE logs (run TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE reaches (
    source TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    reached BIGINT NOT NULL,
    objective BIGINT NOT NULL,
    told BIGINT NOT NULL,
    restarts BIGINT NOT NULL,
    error TEXT NOT NULL
);
CREATE TABLE outbox (id TEXT PRIMARY KEY, repository TEXT NOT NULL, record TEXT NOT NULL, created BIGINT NOT NULL)
)sql",
                                                     "ALTER TABLE runs ADD COLUMN scheduled BIGINT NOT NULL DEFAULT 0",
                                                     R"sql(
DROP TABLE outbox;
ALTER TABLE runs ADD COLUMN noted BIGINT NOT NULL DEFAULT 1;
CREATE INDEX runs_without_note ON runs (ended) WHERE noted = 0
)sql"};

void run_all(Database& database, std::string_view statements) {
    for (std::size_t begin = 0; begin < statements.size();) {
        const std::size_t end = std::min(statements.find(';', begin), statements.size());
        database.run(statements.substr(begin, end - begin));
        begin = end + 1;
    }
}

}  // namespace

void migrate(Database& database) {
    Transaction transaction(database);
    database.lock("schema");
    database.run("CREATE TABLE IF NOT EXISTS version (number BIGINT NOT NULL)");
    const Rows found = database.run("SELECT number FROM version");
    const std::size_t version = found.empty() ? 0 : static_cast<std::size_t>(found[0].integer(0));
    if (version > migrations.size())
        throw Error{Code::newer_format, "the ledger {} is of version {}; this holdfast knows version {}",
                    database.name(), version, migrations.size()}
            .unharmed("nothing in it was changed")
            .hint("Use the holdfast that made it, or a newer one.");
    for (std::size_t each = version; each < migrations.size(); ++each) run_all(database, migrations[each]);
    if (found.empty())
        database.run("INSERT INTO version VALUES ($1)", {static_cast<std::int64_t>(migrations.size())});
    else if (version < migrations.size())
        database.run("UPDATE version SET number = $1", {static_cast<std::int64_t>(migrations.size())});
    transaction.commit();
}

}  // namespace holdfast::ledger
