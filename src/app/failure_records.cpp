#include "app/failure_records.h"

#include "app/json.h"
#include "app/recorder.h"
#include "app/select.h"
#include "app/version.h"
#include "base/error.h"
#include "base/text.h"
#include "repo/notes.h"
#include "repo/proof_note.h"

namespace holdfast::app {

namespace {

std::string encode(const FailureRecord& failure) {
    return text_of({{"run", failure.run},
                    {"job", failure.job},
                    {"source", failure.source},
                    {"result", failure.result},
                    {"error", failure.error},
                    {"host", failure.host},
                    {"time", failure.time},
                    {"seconds", failure.seconds}});
}

FailureRecord decode(const std::string& record) {
    const Json json = Json::parse(record, nullptr, false);
    if (!json.is_object()) throw Error{Code::corrupt, "a record in the ledger's outbox cannot be read"};
    return {json.value("run", ""),
            json.value("job", ""),
            json.value("source", ""),
            json.value("result", "failed"),
            json.value("error", ""),
            json.value("host", ""),
            json.value("time", Nanoseconds{0}),
            json.value("seconds", 0.0)};
}

repo::RunRecord note_of(const FailureRecord& failure) {
    repo::RunRecord out;
    out.verb = "backup";
    out.result = failure.result;
    out.seconds = failure.seconds;
    out.tool = fmt::format("holdfast {}", version);
    out.host = failure.host;
    const auto line = [&](std::string name, const std::string& text) {
        if (!text.empty()) out.lines.push_back({std::move(name), repo::ProofResult::fail, "", text});
    };
    line("run", failure.run);
    line("job", failure.job);
    line("error", failure.error);
    return out;
}

// False: its source has no snapshot yet that could carry the note.
bool write(repo::Repository& repository, const FailureRecord& failure) {
    const repo::Snapshot* newest = nullptr;
    for (const repo::Snapshot& each : repository.snapshots())
        if (is_source(each, failure.source) && (newest == nullptr || each.time > newest->time)) newest = &each;
    if (newest == nullptr) return false;
    repository.notes().append(newest->id, repo::NoteKind::run, failure.time,
                              repo::encode(note_of(failure), repository.keys(), repository.world().random));
    return true;
}

std::string outbox_of(const Context& context) { return context.globals.repository; }

void post(Context& context, const FailureRecord& failure) {
    if (context.recorder == nullptr) return;
    context.recorder->ledger().post(
        {failure.run + "/" + failure.source, outbox_of(context), encode(failure), failure.time});
}

}  // namespace

void leave_failures(Context& context, repo::Repository& repository, std::vector<FailureRecord> failures) {
    try {
        if (context.recorder != nullptr) {
            ledger::Ledger& ledger = context.recorder->ledger();
            for (const ledger::OutboxEntry& each : ledger.outbox(outbox_of(context)))
                if (each.repository == outbox_of(context) && write(repository, decode(each.record)))
                    ledger.sent(each.id);
        }
        while (!failures.empty()) {
            if (!write(repository, failures.back())) post(context, failures.back());
            failures.pop_back();
        }
    } catch (const Error& error) {
        context.world.log.info(fmt::format("a failure is not recorded in the repository yet: {}", error.message()));
        keep_failures(context, failures);
    }
}

void keep_failures(Context& context, const std::vector<FailureRecord>& failures) {
    try {
        for (const FailureRecord& each : failures) post(context, each);
    } catch (const Error& error) {
        context.out.warn(fmt::format("the ledger does not take what is to be recorded: {}", error.message()));
    }
}

}  // namespace holdfast::app
