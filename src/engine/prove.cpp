#include "engine/prove.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/stopped.h"
#include "base/text.h"
#include "engine/authenticate.h"
#include "engine/facts.h"
#include "engine/restore.h"
#include "engine/verify.h"
#include "engine/wanted.h"
#include "repo/notes.h"
#include "sandbox/isolation.h"
#include "sandbox/sandbox.h"
#include "source/inspect.h"
#include "source/machine_options.h"
#include "source/untold_facts.h"

namespace holdfast::engine {

namespace {

using enum CheckLine::Result;

// Room that a sandbox needs beside the bytes themselves.
constexpr std::uint64_t spare_bytes = 64 * 1024 * 1024;
constexpr std::uint64_t item_bytes = 1024;

bool says_nothing_of_snapshot(Code code) {
    return code != Code::corrupt && code != Code::target_failed && code != Code::source_failed &&
           code != Code::not_found && code != Code::partial;
}

// Checks of folders look at what belongs to anybody, so they keep our user.
Isolation check_isolation() {
    Isolation out = possible_isolation();
    out.uid = false;
    if (::geteuid() == 0) out.user = false;
    return out;
}

class Prover {
public:
    Prover(repo::Repository& repository, const ProvePlan& plan, const SourceType& type, Progress& progress)
        : repository_(repository),
          plan_(plan),
          type_(type),
          progress_(progress),
          snapshot_(snapshot_of(repository, plan.snapshot)) {
        report_.snapshot = snapshot_.id;
        report_.source = snapshot_.source;
        if (snapshot_.several_instants) report_.remark = "not one instant: each item as it was when it was read";
    }

    ProofReport run() {
        const Nanoseconds began = repository_.world().clock.steady();
        prove_levels();
        report_.seconds = static_cast<double>(repository_.world().clock.steady() - began) / one_second;
        report_.coverage = coverage();
        return std::move(report_);
    }

private:
    // As long as nothing failed. What could not be tested holds the level back, but what comes after it is still
    // looked at: it may fail.
    void prove_levels() {
        if (!level(0, [&] { list(); })) return;
        if (plan_.level == 1) {
            level(1, [&] { read_all(); });
            return;
        }
        if (plan_.level < 2) return;
        sandbox_.emplace(repository_.world(), plan_.sandbox_root,
                         snapshot_.bytes.logical + snapshot_.items * item_bytes + spare_bytes);
        if (type_.server != nullptr && !start_server()) return;
        if (!restore_all() || plan_.level < 3) return;
        if (!level(3, [&] { compare(); }) || plan_.level < 4) return;
        name_what_has_no_fact();
        level(4, [&] { compare_facts_and_checks(); });
    }

    template <class Step>
    bool level(std::uint8_t number, const Step& step) {
        const std::size_t before = report_.checks.size();
        try {
            step();
        } catch (const Error& error) {
            if (says_nothing_of_snapshot(error.code())) throw;
            add(fmt::format("V{}", number), fail, "", error.message());
        }
        const std::vector<CheckLine> lines(report_.checks.begin() + static_cast<std::ptrdiff_t>(before),
                                           report_.checks.end());
        return conclude(number, result_of(lines));
    }

    bool conclude(std::uint8_t number, CheckLine::Result result) {
        if (result == fail) {
            report_.level = number;
            report_.result = fail;
            return false;
        }
        if (result == not_tested) held_back_ = true;
        if (!held_back_) report_.level = number;
        report_.result = held_back_ ? not_tested : pass;
        return true;
    }

    void add(std::string name, CheckLine::Result result, std::string expected, std::string found) {
        report_.checks.push_back({std::move(name), result, std::move(expected), std::move(found)});
    }

    void list() {
        std::uint64_t items = 0;
        walk_wanted(repository_, whole(), [&](repo::TreeEntry&& entry) {
            repository_.world().stop.check();
            if (entry.item.path == "/") has_top_ = true;
            ++items;
            return true;
        });
        report_.items = items;
        add("listed", items == snapshot_.items ? pass : fail, fmt::format("{} items", snapshot_.items),
            fmt::format("{} items", items));
    }

    void read_all() {
        const Authenticated done = authenticate(repository_, whole(), progress_);
        report_.bytes = done.bytes;
        add_damaged(done.damaged);
        if (done.damaged.empty())
            add("bytes authenticated", pass, fmt::format("{} pieces", done.pieces),
                fmt::format("{} pieces", done.pieces));
    }

    void add_damaged(const std::vector<Finding>& damaged) {
        for (const Finding& each : damaged) add(printable(each.path) + " bytes", fail, "authentic", each.text);
    }

    bool start_server() {
        const Isolation& isolation = possible_isolation();
        if (!isolation.is_complete() && !plan_.allow_unisolated) {
            add("isolation", not_tested, "complete", "this machine refuses " + join(isolation.missing(), ", "));
            return give_up_on_server();
        }
        try {
            server_ = type_.server({*sandbox_, facts(), plan_.options});
        } catch (const Error& error) {
            if (is_stop(error.code()) || error.code() == Code::no_space) throw;
            add("server", not_tested, "started",
                error.message() + (error.hint().empty() ? "" : " (" + error.hint() + ")"));
            return give_up_on_server();
        }
        report_.isolation = server_->isolation();
        return true;
    }

    // As far as it goes without one.
    bool give_up_on_server() {
        if (level(1, [&] { read_all(); })) {
            report_.result = not_tested;
            held_back_ = true;
        }
        return false;
    }

    const std::optional<Facts>& facts() {
        if (!facts_) facts_ = read_facts(repository_, snapshot_);
        return *facts_;
    }

    std::string target() const { return server_ ? server_->target() : sandbox_->work() + "/restored"; }

    // V1 and V2 in one: every chunk is authenticated on its way to the disk.
    bool restore_all() {
        RestoreReport done;
        const bool restored = level(2, [&] {
            const RebuildRequest request{.world = repository_.world(),
                                         .target = target(),
                                         .sync = false,
                                         .snapshot_id = snapshot_.id.hex(),
                                         .strip = "",
                                         .options = machine_options(type_, plan_.options),
                                         .facts = facts()};
            const auto rebuild = type_.rebuild(request);
            done = restore(repository_, whole(), *rebuild, progress_);
            report_.restore_seconds = done.seconds;
            report_.bytes = done.bytes;
            add_damaged(done.damaged);
            if (done.damaged.empty())
                add("restored", pass, fmt::format("{} items", report_.items), fmt::format("{} items", done.items));
        });
        findings_ = std::move(done.rebuilt.findings);
        if (facts() && done.rebuilt.instant) facts_->emplace(completed(**facts_, *done.rebuilt.instant));
        if (!restored && !done.damaged.empty()) report_.level = 1;
        return restored;
    }

    void compare() {
        if (server_) {
            for (CheckLine& line : server_->own_checks()) report_.checks.push_back(std::move(line));
            for (const Finding& each : findings_) add(printable(each.path), fail, "restored", each.text);
            return;
        }
        Verification found = verify(repository_, whole(), {target(), "", findings_, {}}, progress_);
        report_.checks.insert(report_.checks.end(), std::make_move_iterator(found.checks.begin()),
                              std::make_move_iterator(found.checks.end()));
    }

    void compare_facts_and_checks() {
        if (server_) {
            compare_server_facts();
        } else {
            compare_folder_facts();
        }
        const CheckPlace place{.world = repository_.world(),
                               .type = type_,
                               .target = target(),
                               .database = server_ ? only_database(facts()) : "",
                               .source = snapshot_.source,
                               .snapshot = snapshot_.id.hex(),
                               .sandbox = &*sandbox_,
                               .allow_unisolated = plan_.allow_unisolated};
        if (server_ == nullptr && !plan_.checks.empty()) report_.isolation = check_isolation().kinds();
        for (CheckLine& line : run_checks(plan_.checks, place)) {
            if (line.result != not_tested) ++checks_run_;
            report_.checks.push_back(std::move(line));
        }
    }

    void compare_server_facts() {
        if (!facts() || type_.measure == nullptr) {
            add("facts", not_tested, "", "the capture recorded none");
            return;
        }
        report_.basis = facts()->basis;
        const Facts found = type_.measure({.world = repository_.world(),
                                           .target = target(),
                                           .expected = *facts(),
                                           .only = {},
                                           .options = machine_options(type_, plan_.options)});
        for (CheckLine& line : compare_facts(*facts(), found, {})) report_.checks.push_back(std::move(line));
        facts_compared_ = facts()->list.size();
    }

    // Lines of no level: V4 speaks of what was captured with a fact.
    void name_what_has_no_fact() {
        if (!server_ || !facts()) return;
        for (CheckLine& line : lines_of_untold(*facts(), {})) report_.checks.push_back(std::move(line));
    }

    // The record of the snapshot says what the capture counted; the folder is counted by itself, not by the tree.
    void compare_folder_facts() {
        report_.basis = "stream";
        const TreeCount found = count_tree(target());
        Facts was, is;
        was.list = {{"", "bytes", std::to_string(snapshot_.bytes.logical)},
                    {"", "items", std::to_string(snapshot_.items)}};
        is.list = {{"", "bytes", std::to_string(found.bytes)},
                   {"", "items", std::to_string(found.items + (has_top_ ? 1 : 0))}};
        for (CheckLine& line : compare_facts(was, is, {})) {
            // What could not be restored here (devices, without rights) cannot be counted either.
            if (line.result == fail && held_back_ && !findings_.empty()) line.result = not_tested;
            report_.checks.push_back(std::move(line));
        }
        facts_compared_ = was.list.size();
    }

    std::string coverage() const {
        const auto untested = std::ranges::count(report_.checks, not_tested, &CheckLine::result);
        std::string out = fmt::format("{} items, {}, {} facts, {} checks", report_.items, human_bytes(report_.bytes),
                                      facts_compared_, checks_run_);
        if (untested > 0) out += fmt::format("; {} not tested", untested);
        if (!report_.remark.empty()) out += "; " + report_.remark;
        return out;
    }

    RestorePlan whole() const { return {snapshot_.id, {}, {}, ""}; }

    repo::Repository& repository_;
    const ProvePlan& plan_;
    const SourceType& type_;
    Progress& progress_;
    const repo::Snapshot& snapshot_;
    ProofReport report_;
    std::optional<Sandbox> sandbox_;
    std::unique_ptr<ThrowawayServer> server_;  // goes before its sandbox
    std::optional<std::optional<Facts>> facts_;
    std::vector<Finding> findings_;  // of the restore
    std::size_t facts_compared_ = 0;
    std::size_t checks_run_ = 0;
    bool has_top_ = false;    // the folder "/" is an item: the target stands for it
    bool held_back_ = false;  // something could not be tested: the level rises no more
};

}  // namespace

ProofReport prove(repo::Repository& repository, const ProvePlan& plan, const SourceType& type, Progress& progress) {
    const std::string id = plan.snapshot.short_hex();
    const Note note{"proving snapshot {}", id};
    return Prover(repository, plan, type, progress).run();
}

std::vector<repo::NoteLine> note_lines(const std::vector<CheckLine>& checks) {
    std::vector<repo::NoteLine> out;
    for (const CheckLine& each : checks) {
        const repo::ProofResult result = each.result == pass   ? repo::ProofResult::pass
                                         : each.result == fail ? repo::ProofResult::fail
                                                               : repo::ProofResult::not_tested;
        out.push_back({each.name, result, each.expected, each.found});
    }
    return out;
}

void record_proof(repo::Repository& repository, const ProofReport& report, const std::string& tool) {
    repo::ProofRecord record;
    record.level = report.level;
    record.result = note_lines({{"", report.result, "", ""}}).front().result;
    record.seconds = report.seconds;
    record.restore_seconds = report.restore_seconds;
    record.tool = tool;
    record.basis = report.basis;
    record.coverage = report.coverage;
    record.isolation = report.isolation;
    record.lines = note_lines(report.checks);
    World& world = repository.world();
    if (repository.is_replica())
        return world.log.warning(
            "this proof is not recorded in the repository: a replica takes notes from its origin only");
    repository.notes().append(report.snapshot, repo::NoteKind::proof, world.clock.now(),
                              repo::encode(record, repository.keys(), world.random));
}

}  // namespace holdfast::engine
