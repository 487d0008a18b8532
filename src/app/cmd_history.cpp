#include <algorithm>

#include "app/command.h"
#include "app/context.h"
#include "app/journals.h"
#include "app/registry.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/windows.h"

namespace holdfast::app {

namespace {

struct HistoryChoice {
    std::string source;
    std::optional<std::string> from;
    std::optional<std::string> to;
    std::optional<std::string> grep;
};

std::optional<Nanoseconds> time_of(const std::optional<std::string>& text, std::string_view option, Nanoseconds now) {
    if (!text) return std::nullopt;
    const auto time = parse_time(*text, now);
    if (!time) throw Error{Code::usage, "{} needs a time, not `{}`", option, *text};
    return time;
}

const SourceType& type_of(const repo::Repository& repository, const std::string& source) {
    const auto& all = repository.snapshots();
    const auto at = std::ranges::find(all.rbegin(), all.rend(), source, &repo::Snapshot::source);
    const SourceType* const type = at == all.rend() ? nullptr : source_type(at->kind);
    if (type == nullptr || type->history == nullptr)
        throw Error{Code::usage, "the journal of {} cannot be looked through", source};
    return *type;
}

void print(Output& out, const HistoryEvent& event) {
    const std::string position = event.position.line.empty()
                                     ? fmt::format("{}", event.position.at)
                                     : fmt::format("{}:{}", event.position.line, event.position.at);
    if (out.is_json())
        return out.record({{"type", "event"},
                           {"time", rfc3339(event.time)},
                           {"position", to_valid_utf8(position)},
                           {"what", event.what},
                           {"item", to_valid_utf8(event.item)},
                           {"count", event.count}});
    out.line(fmt::format("{}  {:<12} {}{}  {}", rfc3339(event.time), event.what, printable(event.item),
                         event.count > 1 ? fmt::format(" ({})", human_count(event.count)) : "", printable(position)));
}

int run_history(Context& context, const HistoryChoice& choice) {
    const auto repository = context.open_repository();
    const std::string source = source_with_journal(*repository, choice.source);
    const SourceType& type = type_of(*repository, source);
    const Nanoseconds now = context.world.clock.now();
    const auto from = time_of(choice.from, "--from", now), to = time_of(choice.to, "--to", now);
    std::vector<std::string> words;
    if (choice.grep) words = split(*choice.grep, ',');

    repo::Journal journal(*repository, source);
    journal.read();
    std::uint64_t found = 0;
    for (const repo::Journal::Run& run : journal.runs()) {
        const auto reader = type.history({context.world, [&](const HistoryEvent& event) {
                                              if ((from && event.time < *from) || (to && event.time > *to)) return;
                                              if (!words.empty() && std::ranges::none_of(words, [&](const auto& word) {
                                                      return event.what.find(word) != std::string::npos;
                                                  }))
                                                  return;
                                              ++found;
                                              print(context.out, event);
                                          }});
        const std::vector<repo::Segment> all(journal.segments().begin() + static_cast<std::ptrdiff_t>(run.begin),
                                             journal.segments().begin() + static_cast<std::ptrdiff_t>(run.end));
        for (std::size_t i = 0; i < all.size(); ++i) {
            context.world.stop.check();
            if (i == 0 || all[i].lane != all[i - 1].lane) reader->begin_lane();
            if (all[i].bytes == 0) continue;
            journal.read_content(all[i], [&](ByteView bytes) { reader->feed(bytes); });
        }
        reader->finish();
    }
    if (context.out.is_json())
        context.out.record(
            {{"type", "summary"}, {"schema", "holdfast.history/1"}, {"source", source}, {"events", found}});
    return 0;
}

}  // namespace

Command history_command() {
    const auto choice = std::make_shared<HistoryChoice>();
    Command out;
    out.name = "history";
    out.part = Part::look;
    out.ends_with_its_reader = true;
    out.summary = "what destroyed much, and when: to restore to the instant before";
    out.details = "Looks through the journal of a followed source for what drops, truncates and deletes much.";
    out.examples = {
        {"holdfast history orders-db --grep drop", "when was it dropped?"},
        {"holdfast restore --source orders-db --at 2026-03-01T04:09:59Z --to postgres://db2/", "the instant before"}};
    out.options.word(choice->source, "SOURCE", "whose journal").offers = Option::Offers::sources;
    out.options.value(choice->from, "--from", "TIME", "not what is older");
    out.options.value(choice->to, "--to", "TIME", "not what is newer");
    out.options.value(choice->grep, "--grep", "WORDS", "only these kinds, such as `drop,truncate,delete`");
    out.run = [choice](Context& context) { return run_history(context, *choice); };
    return out;
}

}  // namespace holdfast::app
