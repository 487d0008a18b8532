#include "ledger/ledger.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_map>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "ledger/schema.h"

namespace holdfast::ledger {

namespace {

struct StateName {
    RunState state;
    std::string_view name;
};
constexpr std::array<StateName, 7> state_names{{{RunState::due, "due"},
                                                {RunState::running, "running"},
                                                {RunState::done, "done"},
                                                {RunState::partial, "partial"},
                                                {RunState::failed, "failed"},
                                                {RunState::interrupted, "interrupted"},
                                                {RunState::skipped, "skipped"}}};

constexpr std::string_view run_columns =
    "SELECT id, job, verb, repository, state, due, start_at, attempt, started, ended, host, code, error, what, items, "
    "items_total, bytes, bytes_total, scheduled, stop FROM runs ";

Run run_of(const Row& row) {
    Run out;
    out.id = row.text(0);
    out.job = row.text(1);
    out.verb = row.text(2);
    out.repository = row.text(3);
    out.state = state_named(row.text(4));
    out.due = row.integer(5);
    out.start_at = row.integer(6);
    out.attempt = static_cast<int>(row.integer(7));
    out.started = row.integer(8);
    out.ended = row.integer(9);
    out.host = row.text(10);
    out.code = row.text(11);
    out.error = row.text(12);
    out.progress = {row.text(13), static_cast<std::uint64_t>(row.integer(14)),
                    static_cast<std::uint64_t>(row.integer(15)), static_cast<std::uint64_t>(row.integer(16)),
                    static_cast<std::uint64_t>(row.integer(17))};
    out.scheduled = row.integer(18) != 0;
    out.stop = row.integer(19) != 0;
    return out;
}

constexpr std::string_view outcome_columns =
    "source, component, snapshot, result, error, proof_level, seconds, restore_seconds, bytes, stored, items";

// The same of a table that is called `o`.
std::string columns_of_o() { return "o." + join(split(std::string(outcome_columns), ','), ", o."); }

Outcome outcome_of(const Row& row, std::size_t first) {
    Outcome out;
    out.source = row.text(first);
    out.component = row.text(first + 1);
    out.snapshot = row.text(first + 2);
    out.result = row.text(first + 3);
    out.error = row.text(first + 4);
    out.proof_level = static_cast<int>(row.integer(first + 5));
    out.seconds = row.real(first + 6);
    out.restore_seconds = row.real(first + 7);
    out.bytes = static_cast<std::uint64_t>(row.integer(first + 8));
    out.stored = static_cast<std::uint64_t>(row.integer(first + 9));
    out.items = static_cast<std::uint64_t>(row.integer(first + 10));
    return out;
}

Value value(std::uint64_t number) { return static_cast<std::int64_t>(number); }
Value value(RunState state) { return std::string(name_of(state)); }
// PostgreSQL keeps valid UTF-8 without zero bytes only.
Value value(const std::string& text) {
    std::string out = to_valid_utf8(text);
    std::erase(out, '\0');
    return out;
}

}  // namespace

std::string_view name_of(RunState state) { return std::ranges::find(state_names, state, &StateName::state)->name; }

RunState state_named(std::string_view name) {
    const auto* const found = std::ranges::find(state_names, name, &StateName::name);
    if (found == state_names.end()) throw Error{Code::corrupt, "the ledger has a run whose state is `{}`", name};
    return found->state;
}

std::string new_run_id(Random& random) { return fmt::format("{:016x}", random.number()); }

namespace {

bool is_postgres(const Place& place) {
    return place.url.starts_with("postgres://") || place.url.starts_with("postgresql://");
}

std::string sqlite_file(const Place& place) {
    constexpr std::string_view scheme = "sqlite:";
    if (place.url.starts_with(scheme)) return place.url.substr(scheme.size());
    if (place.url.find("://") != std::string::npos || place.url.empty())
        throw Error{Code::config, "`{}` is no place for a ledger", place.url}.hint(
            "It is `sqlite:/var/lib/holdfast/ledger.db` or `postgres://host/database`.");
    return place.url;
}

}  // namespace

bool exists(const Place& place) {
    std::error_code unknown;  // such as a folder that may not be looked into: who opens it says so
    return is_postgres(place) || std::filesystem::exists(sqlite_file(place), unknown) || unknown;
}

std::unique_ptr<Ledger> Ledger::open(const Place& place, World& world) {
    const Note note{"opening the ledger"};
    if (is_postgres(place)) return open(open_postgres(place.url, world), world);
    return open(open_sqlite(sqlite_file(place)), world);
}

std::unique_ptr<Ledger> Ledger::open(std::unique_ptr<Database> database, World& world) {
    migrate(*database);
    return std::unique_ptr<Ledger>(new Ledger(std::move(database), world));
}

std::string Ledger::name() const { return database_->name(); }

void Ledger::insert(const Run& run, const std::string& holder, Nanoseconds lease, bool alone) {
    database_->run(
        "INSERT INTO runs (id, job, verb, repository, state, due, start_at, attempt, started, ended, host, code, "
        "error, "
        "what, items, items_total, bytes, bytes_total, alone, stop, holder, lease, scheduled, noted) VALUES ($1, $2, "
        "$3, $4, "
        "$5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 0, $20, $21, $22, 0)",
        {value(run.id),
         value(run.job),
         value(run.verb),
         value(run.repository),
         value(run.state),
         run.due,
         run.start_at,
         std::int64_t{run.attempt},
         run.started,
         run.ended,
         value(run.host),
         value(run.code),
         value(run.error),
         value(run.progress.what),
         value(run.progress.items),
         value(run.progress.items_total),
         value(run.progress.bytes),
         value(run.progress.bytes_total),
         std::int64_t{alone ? 1 : 0},
         value(holder),
         lease,
         std::int64_t{run.scheduled ? 1 : 0}});
}

// Leases are compared by all who share the ledger.
Nanoseconds Ledger::lease_now() const { return database_->shared_now().value_or(world_.clock.now()); }

std::optional<Run> Ledger::add_due(const Run& run) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(*database_);
    database_->lock(run.job);
    const std::vector<Run> known =
        select("WHERE job = $1 AND due = $2 AND attempt = $3", {value(run.job), run.due, std::int64_t{run.attempt}});
    if (!known.empty()) return known[0].state == RunState::due ? std::optional(known[0]) : std::nullopt;
    insert(run, "", 0, false);
    transaction.commit();
    return run;
}

void Ledger::postpone(const std::string& id, Nanoseconds start_at) {
    const std::lock_guard lock(mutex_);
    database_->run("UPDATE runs SET start_at = $2 WHERE id = $1 AND state = 'due'", {value(id), start_at});
}

Claim Ledger::claim(const Run& run, const std::string& holder, Nanoseconds lease, bool alone) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(*database_);
    database_->lock(run.job);
    const Rows known =
        run.job.empty()
            ? Rows{}
            : database_->run("SELECT id, state, holder FROM runs WHERE job = $1 AND due = $2 AND attempt = $3",
                             {value(run.job), run.due, std::int64_t{run.attempt}});
    if (!known.empty() && known[0].text(1) != name_of(RunState::due)) {
        const bool is_ours = known[0].text(0) == run.id && known[0].text(2) == holder;
        return is_ours && known[0].text(1) == name_of(RunState::running) ? Claim::claimed : Claim::taken;
    }
    if (alone && !run.job.empty() &&
        !database_->run("SELECT id FROM runs WHERE state = 'running' AND job = $1", {value(run.job)}).empty())
        return Claim::busy;
    const Nanoseconds now = world_.clock.now();
    if (known.empty()) {
        Run started = run;
        started.state = RunState::running;
        started.started = now;
        insert(started, holder, lease_now() + lease, alone);
    } else {
        if (known[0].text(0) != run.id) return Claim::taken;
        database_->run(
            "UPDATE runs SET state = 'running', started = $2, host = $3, holder = $4, lease = $5, alone = $6 WHERE id "
            "= "
            "$1",
            {value(run.id), now, value(run.host), value(holder), lease_now() + lease, std::int64_t{alone ? 1 : 0}});
    }
    transaction.commit();
    return Claim::claimed;
}

void Ledger::hand_over(const std::string& id, const std::string& holder, Nanoseconds lease) {
    const std::lock_guard lock(mutex_);
    database_->run("UPDATE runs SET holder = $2, lease = $3 WHERE id = $1 AND state = 'running'",
                   {value(id), value(holder), lease_now() + lease});
}

bool Ledger::renew(const std::string& id, Nanoseconds lease, const Progress& progress) {
    const std::lock_guard lock(mutex_);
    const Rows rows = database_->run(
        "UPDATE runs SET lease = $2, what = $3, items = $4, items_total = $5, bytes = $6, bytes_total = $7 WHERE id = "
        "$1 AND state = 'running' RETURNING stop",
        {value(id), lease_now() + lease, value(progress.what), value(progress.items), value(progress.items_total),
         value(progress.bytes), value(progress.bytes_total)});
    return !rows.empty() && rows[0].integer(0) == 0;
}

void Ledger::request_stop(const std::string& id) {
    const std::lock_guard lock(mutex_);
    database_->run("UPDATE runs SET stop = 1 WHERE id = $1 AND state = 'running'", {value(id)});
}

bool Ledger::end(const Run& run) {
    HF_ASSERT(has_ended(run.state));
    const std::lock_guard lock(mutex_);
    Transaction transaction(*database_);
    const Rows rows = database_->run(
        "UPDATE runs SET state = $2, ended = $3, code = $4, error = $5, what = $6, items = $7, items_total = $8, bytes "
        "= $9, bytes_total = $10, repository = $11, lease = 0, noted = 0 WHERE id = $1 AND state IN ('running', "
        "'interrupted') "
        "RETURNING id",
        {value(run.id), value(run.state), run.ended, value(run.code), value(run.error), value(run.progress.what),
         value(run.progress.items), value(run.progress.items_total), value(run.progress.bytes),
         value(run.progress.bytes_total), value(run.repository)});
    if (rows.empty()) return false;
    insert_outcomes(run);
    transaction.commit();
    return true;
}

void Ledger::insert_outcomes(const Run& run) {
    database_->run("DELETE FROM outcomes WHERE run = $1", {value(run.id)});
    std::int64_t n = 0;
    for (const Outcome& each : run.outcomes)
        database_->run(
            "INSERT INTO outcomes (run, n, source, component, snapshot, result, error, proof_level, seconds, "
            "restore_seconds, bytes, stored, items) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            {value(run.id), n++, value(each.source), value(each.component), value(each.snapshot), value(each.result),
             value(each.error), std::int64_t{each.proof_level}, each.seconds, each.restore_seconds, value(each.bytes),
             value(each.stored), value(each.items)});
}

void Ledger::explain(const std::string& id, const std::string& error) {
    const std::lock_guard lock(mutex_);
    database_->run("UPDATE runs SET error = $2 WHERE id = $1", {value(id), value(error)});
}

void Ledger::drop_due(const std::string& id) {
    const std::lock_guard lock(mutex_);
    database_->run("DELETE FROM runs WHERE id = $1 AND state = 'due'", {value(id)});
}

bool Ledger::add_ended(const Run& run) {
    HF_ASSERT(has_ended(run.state));
    const std::lock_guard lock(mutex_);
    Transaction transaction(*database_);
    database_->lock(run.job);
    if (!database_->run("SELECT id FROM runs WHERE id = $1", {value(run.id)}).empty()) return false;
    if (!run.job.empty() && !database_
                                 ->run("SELECT id FROM runs WHERE job = $1 AND due = $2 AND attempt = $3",
                                       {value(run.job), run.due, std::int64_t{run.attempt}})
                                 .empty())
        return false;
    insert(run, "", 0, false);
    insert_outcomes(run);
    transaction.commit();
    return true;
}

bool Ledger::knows(const std::string& snapshot, const std::string& verb, std::optional<Nanoseconds> ended) const {
    constexpr Nanoseconds near = 60 * one_second;
    const std::lock_guard lock(mutex_);
    const Rows rows = database_->run(
        "SELECT r.ended FROM outcomes o JOIN runs r ON r.id = o.run WHERE o.snapshot = $1 AND r.verb = $2",
        {value(snapshot), value(verb)});
    return std::ranges::any_of(rows,
                               [&](const Row& row) { return !ended || std::abs(row.integer(0) - *ended) <= near; });
}

void Ledger::append_log(const std::string& id, const std::string& text) {
    if (text.empty()) return;
    const std::lock_guard lock(mutex_);
    Transaction transaction(*database_);
    const Rows known = database_->run("SELECT text FROM logs WHERE run = $1", {value(id)});
    std::string whole = (known.empty() ? "" : known[0].text(0)) + std::get<std::string>(value(text));
    if (whole.size() > log_bytes_max) {
        whole.erase(0, whole.size() - log_bytes_max);
        whole.erase(0, whole.find('\n') + 1);
    }
    database_->run("INSERT INTO logs (run, text) VALUES ($1, $2) ON CONFLICT (run) DO UPDATE SET text = excluded.text",
                   {value(id), whole});
    transaction.commit();
}

std::vector<Run> Ledger::end_abandoned(const Liveness& is_alive) {
    const std::lock_guard lock(mutex_);
    const Nanoseconds now = lease_now();
    std::vector<Run> out;
    Transaction transaction(*database_);
    for (const Row& row : database_->run("SELECT id, holder, lease FROM runs WHERE state = 'running'")) {
        const std::optional<bool> alive = is_alive(row.text(1));
        if (alive.value_or(row.integer(2) >= now)) continue;
        // It may have ended, been handed over or renewed just now.
        const Rows ended = database_->run(
            "UPDATE runs SET state = 'interrupted', ended = $4, code = 'terminated', error = $5 WHERE id = $1 AND "
            "state = 'running' AND holder = $2 AND lease = $3 RETURNING id",
            {row.text(0), row.text(1), row.integer(2), world_.clock.now(),
             value("its process ended without saying how")});
        if (ended.empty()) continue;
        for (Run& run : select("WHERE id = $1", {row.text(0)})) out.push_back(std::move(run));
    }
    transaction.commit();
    return out;
}

std::vector<Run> Ledger::select(const std::string& rest, std::initializer_list<Value> parameters) const {
    std::vector<Run> out;
    for (const Row& row : database_->run(std::string(run_columns) + rest, parameters)) out.push_back(run_of(row));
    return out;
}

void Ledger::add_outcomes(std::vector<Run>& runs) const {
    for (Run& run : runs)
        for (const Row& row :
             database_->run("SELECT " + std::string(outcome_columns) + " FROM outcomes WHERE run = $1 ORDER BY n",
                            {value(run.id)}))
            run.outcomes.push_back(outcome_of(row, 0));
}

std::optional<Run> Ledger::find(const std::string& id_or_start) const {
    const std::lock_guard lock(mutex_);
    std::vector<Run> found = select("WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2",
                                    {value(id_or_start), value(id_or_start + "g")});  // ids are hexadecimal
    if (found.empty()) return std::nullopt;
    if (found.size() > 1 && found[0].id != id_or_start)
        throw Error{Code::usage, "several runs begin with `{}`", id_or_start}.hint("Give more of its id.");
    found.resize(1);
    add_outcomes(found);
    return std::move(found[0]);
}

std::vector<Run> Ledger::runs(const RunFilter& filter) const {
    const std::lock_guard lock(mutex_);
    std::string where = "WHERE due >= $1";
    if (filter.job) where += " AND job = $2";
    if (filter.state) where += " AND state = $3";
    if (filter.source) where += " AND id IN (SELECT run FROM outcomes WHERE source = $4)";
    where += " ORDER BY due DESC, started DESC LIMIT $5";
    std::vector<Run> out =
        select(where, {filter.since, value(filter.job.value_or("")), value(filter.state.value_or(RunState::due)),
                       value(filter.source.value_or("")), static_cast<std::int64_t>(filter.count_max)});
    add_outcomes(out);
    return out;
}

std::vector<Run> Ledger::waiting() const {
    const std::lock_guard lock(mutex_);
    return select("WHERE state = 'due' ORDER BY start_at", {});
}

std::vector<Run> Ledger::running() const {
    const std::lock_guard lock(mutex_);
    return select("WHERE state = 'running' ORDER BY started", {});
}

std::set<std::string> Ledger::busy_jobs() const {
    const std::lock_guard lock(mutex_);
    std::set<std::string> out;
    for (const Row& row : database_->run("SELECT DISTINCT job FROM runs WHERE state IN ('due', 'running')"))
        out.insert(row.text(0));
    return out;
}

namespace {

std::optional<Run> first_of(std::vector<Run> runs) {
    if (runs.empty()) return std::nullopt;
    return std::move(runs[0]);
}

}  // namespace

std::optional<Run> Ledger::last(const std::string& job) const {
    const std::lock_guard lock(mutex_);
    return first_of(select("WHERE job = $1 ORDER BY due DESC, attempt DESC LIMIT 1", {value(job)}));
}

std::optional<Run> Ledger::last_ended(const std::string& job) const {
    const std::lock_guard lock(mutex_);
    return first_of(select("WHERE job = $1 AND state NOT IN ('due', 'running') ORDER BY due DESC, attempt DESC LIMIT 1",
                           {value(job)}));
}

std::optional<Run> Ledger::last_done(const std::string& job) const {
    const std::lock_guard lock(mutex_);
    return first_of(select("WHERE job = $1 AND state = 'done' ORDER BY due DESC, attempt DESC LIMIT 1", {value(job)}));
}

std::optional<Run> Ledger::last_success(const std::string& job) const {
    const std::lock_guard lock(mutex_);
    return first_of(select("WHERE job = $1 AND state IN ('done', 'partial') ORDER BY due DESC, attempt DESC LIMIT 1",
                           {value(job)}));
}

std::map<std::string, Nanoseconds> Ledger::last_due() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, Nanoseconds> out;
    for (const Row& row : database_->run("SELECT job, MAX(due) FROM runs WHERE job <> '' GROUP BY job"))
        out[row.text(0)] = row.integer(1);
    return out;
}

std::string Ledger::log(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const Rows rows = database_->run("SELECT text FROM logs WHERE run = $1", {value(id)});
    return rows.empty() ? "" : rows[0].text(0);
}

std::vector<std::pair<Run, Outcome>> Ledger::newest_proofs() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<Run, Outcome>> out;
    for (const Row& row : database_->run(
             "SELECT o.run, " + columns_of_o() +
             " FROM outcomes o JOIN runs r ON r.id = o.run JOIN (SELECT p.source AS source, MAX(q.ended) AS ended FROM "
             "outcomes p JOIN runs q ON q.id = p.run WHERE p.proof_level >= 0 GROUP BY p.source) newest ON "
             "newest.source = o.source AND newest.ended = r.ended WHERE o.proof_level >= 0 ORDER BY o.source")) {
        if (!out.empty() && out.back().second.source == row.text(1)) continue;
        out.emplace_back(select("WHERE id = $1", {row.text(0)}).at(0), outcome_of(row, 1));
    }
    return out;
}

std::vector<Proof> Ledger::proofs(const std::string& source) const {
    const std::lock_guard lock(mutex_);
    std::vector<Proof> out;
    for (const Row& row : database_->run("SELECT r.ended, " + columns_of_o() +
                                             " FROM outcomes o JOIN runs r ON r.id = o.run WHERE o.source = $1 AND "
                                             "o.proof_level >= 0 ORDER BY r.ended DESC LIMIT 100",
                                         {value(source)}))
        out.push_back({row.integer(0), outcome_of(row, 1)});
    return out;
}

std::vector<double> Ledger::recovery_seconds(const std::string& source) const {
    const std::lock_guard lock(mutex_);
    std::vector<double> out;
    for (const Row& row :
         database_->run("SELECT o.restore_seconds FROM outcomes o JOIN runs r ON r.id = o.run WHERE o.source = $1 AND "
                        "o.restore_seconds > 0 AND o.result IN ('ok', 'pass') ORDER BY r.ended DESC LIMIT 100",
                        {value(source)}))
        out.push_back(row.real(0));
    return out;
}

void Ledger::tell(const Reach& reach) {
    const std::lock_guard lock(mutex_);
    database_->run(
        "INSERT INTO reaches (source, state, reached, objective, told, restarts, error) VALUES ($1, $2, $3, $4, $5, "
        "$6, "
        "$7) ON CONFLICT (source) DO UPDATE SET state = excluded.state, reached = CASE WHEN excluded.reached > 0 THEN "
        "excluded.reached ELSE reaches.reached END, objective = excluded.objective, told = excluded.told, restarts = "
        "excluded.restarts, error = excluded.error",
        {value(reach.source), value(reach.state), reach.reached, reach.objective, reach.told, value(reach.restarts),
         value(reach.error)});
}

std::vector<Reach> Ledger::reaches() const {
    const std::lock_guard lock(mutex_);
    std::vector<Reach> out;
    for (const Row& row :
         database_->run("SELECT source, state, reached, objective, told, restarts, error FROM reaches ORDER BY source"))
        out.push_back({row.text(0), row.text(1), row.integer(2), row.integer(3), row.integer(4),
                       static_cast<std::uint64_t>(row.integer(5)), row.text(6)});
    return out;
}

std::vector<Run> Ledger::without_note(std::size_t count_max) const {
    const std::lock_guard lock(mutex_);
    std::vector<Run> out = select("WHERE noted = 0 AND state NOT IN ('due', 'running') ORDER BY ended LIMIT $1",
                                  {static_cast<std::int64_t>(count_max)});
    add_outcomes(out);
    return out;
}

void Ledger::has_note(const Run& run) {
    const std::lock_guard lock(mutex_);
    database_->run("UPDATE runs SET noted = 1 WHERE id = $1 AND state = $2", {value(run.id), value(run.state)});
}

}  // namespace holdfast::ledger
