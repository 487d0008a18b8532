#include "app/diff_live.h"

#include <map>

#include "app/backup_sources.h"
#include "app/environment.h"
#include "app/progress_line.h"
#include "app/registry.h"
#include "app/source_options.h"
#include "app/verified.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/facts.h"
#include "engine/live.h"

namespace holdfast::app {

namespace {

bool is_server(std::string_view place) { return place.find("://") != std::string_view::npos; }

class LiveDiff {
public:
    LiveDiff(Context& context, repo::Repository& repository, const Selected& selected, const std::string& below,
             const LiveChoice& choice)
        : context_(context),
          repository_(repository),
          snapshot_(*selected.snapshot),
          below_(below),
          choice_(choice),
          type_(source_type(snapshot_.kind)) {
        if (type_ == nullptr) throw Error{Code::usage, "this holdfast does not know kind {}", snapshot_.kind};
    }

    int run() {
        if (type_->measure != nullptr)
            compare_server();
        else
            compare_files();
        finish();
        return 0;
    }

private:
    void compare_server() {
        const auto facts = engine::read_facts(repository_, snapshot_);
        if (!facts) throw Error{Code::usage, "snapshot {} has no facts to compare", snapshot_.id.short_hex()};
        const std::string place = server_place();
        Facts captured = *facts;
        std::vector<std::string> only;
        if (!below_.empty()) {
            std::erase_if(captured.list,
                          [&](const Fact& fact) { return is_about(fact) || !is_within(fact.item, below_); });
            if (captured.list.empty())
                throw Error{Code::not_found, "snapshot {} has no {}", snapshot_.id.short_hex(), below_};
            only = {below_};
        }
        const Facts live = [&] {
            engine::Progress progress;
            const ProgressLine line(context_.out, context_.world.clock, progress, "reading what is live");
            return type_->measure({.world = context_.world,
                                   .target = place,
                                   .expected = *facts,
                                   .only = only,
                                   .options = machine_options(*type_, context_.config(), snapshot_.source)});
        }();
        for (const engine::LiveDifference& difference : engine::compare_live(captured, live)) {
            tell(difference);
            if (choice_.rows && type_->diff_rows != nullptr && difference.change == engine::Change::content &&
                (facts->value(difference.path, "rows") || facts->value(difference.path, "documents")))
                tell_rows(difference.path, place, *facts);
        }
    }

    // As it was given, as the source is configured, as it was when it was captured.
    std::string server_place() {
        if (choice_.place) {
            const auto named = place_in_environment(context_, *choice_.place, snapshot_.source);
            const std::string& place = named ? *named : *choice_.place;
            if (!is_server(place)) throw Error{Code::usage, "{} is neither a URL nor an environment", place};
            if (!named) warn_of_password(context_.out, place);
            return place;
        }
        if (const SourceConfig* const source = context_.config().source(snapshot_.source);
            source != nullptr && type_->live_place != nullptr)
            return type_->live_place(resolved_options(*source, *type_, [&](const SecretReference& reference) {
                return context_.secrets.text_of(reference);
            }));
        if (!snapshot_.describes.empty() && is_server(snapshot_.describes.front())) return snapshot_.describes.front();
        throw Error{Code::usage, "it is not known where source {} is", snapshot_.source}.hint("Say it with --to URL.");
    }

    void tell_rows(const std::string& item, const std::string& place, const Facts& facts) {
        const RowDiff found = type_->diff_rows(
            {context_.world, place, item, facts, choice_.rows_max,
             [&](const std::function<void(ByteView)>& take) { engine::dump(repository_, snapshot_, item, take); }});
        for (const RowDifference& row : found.list) {
            const engine::Change change = row.kind == RowDifference::Kind::only_captured ? engine::Change::removed
                                          : row.kind == RowDifference::Kind::only_live   ? engine::Change::added
                                                                                         : engine::Change::content;
            if (context_.out.is_json()) {
                Json line{{"type", "row"}};
                add_path(line, item);
                line["key"] = to_valid_utf8(row.key);
                line["change"] = name_of(change);
                context_.out.record(line);
            } else {
                context_.out.line(fmt::format("    {} {}", sign_of(change), printable(row.key)));
            }
        }
        if (!found.problem.empty())
            context_.out.warn(fmt::format("{}: its rows cannot be told apart: {}", printable(item), found.problem));
        if (found.has_more)
            context_.out.warn(fmt::format("{}: more rows differ than are listed (--rows-max)", printable(item)));
    }

    void compare_files() {
        if (choice_.place || choice_.rows)
            throw Error{Code::usage, "--to and --rows are for snapshots of servers, not of kind {}", snapshot_.kind};
        bool has_paths = false;
        engine::list(repository_, snapshot_, "", false, [&](const Item& item) {
            has_paths = item.path.starts_with('/');
            return false;
        });
        if (!has_paths)
            throw Error{Code::usage, "a snapshot of kind {} has nothing live that it could be compared with",
                        snapshot_.kind};
        const auto source = files_source();
        engine::Progress progress;
        const ProgressLine line(context_.out, context_.world.clock, progress, "reading what is live");
        engine::diff_live_files(repository_, snapshot_, *source, below_, progress,
                                [&](const engine::LiveDifference& difference) { tell(difference); });
    }

    std::unique_ptr<Source> files_source() {
        if (context_.config().source(snapshot_.source) == nullptr)
            return type_->make(snapshot_.source, {{"paths", snapshot_.describes}});
        SourceRequest request;
        request.words = {snapshot_.source};
        auto sources = make_sources(
            request, source_types(), [&]() -> const Config& { return context_.config(); },
            [&](const SecretReference& reference) { return context_.secrets.text_of(reference); });
        return std::move(sources.front());
    }

    void tell(const engine::LiveDifference& difference) {
        ++counts_[difference.change];
        if (context_.out.is_json()) {
            Json line{{"type", "difference"}};
            add_path(line, difference.path);
            line["change"] = name_of(difference.change);
            if (!difference.text.empty()) line["text"] = to_valid_utf8(difference.text);
            context_.out.record(line);
            return;
        }
        context_.out.line(fmt::format("{} {}{}", sign_of(difference.change), printable(difference.path),
                                      difference.text.empty() ? "" : "  (" + printable(difference.text) + ")"));
    }

    void finish() {
        using enum engine::Change;
        if (context_.out.is_json()) {
            context_.out.record({{"type", "summary"},
                                 {"schema", "holdfast.diff/1"},
                                 {"from", snapshot_.id.hex()},
                                 {"to", live_word},
                                 {"added", counts_[added]},
                                 {"removed", counts_[removed]},
                                 {"content", counts_[content]},
                                 {"metadata", counts_[metadata]}});
            return;
        }
        context_.out.say(fmt::format("{} only live, {} gone, {} with other content, {} with other metadata",
                                     human_count(counts_[added]), human_count(counts_[removed]),
                                     human_count(counts_[content]), human_count(counts_[metadata])));
    }

    Context& context_;
    repo::Repository& repository_;
    const repo::Snapshot& snapshot_;
    const std::string below_;
    const LiveChoice& choice_;
    const SourceType* const type_;
    std::map<engine::Change, std::uint64_t> counts_;
};

}  // namespace

char sign_of(engine::Change change) {
    switch (change) {
        case engine::Change::added:
            return '+';
        case engine::Change::removed:
            return '-';
        case engine::Change::content:
            return 'M';
        case engine::Change::metadata:
            return 'm';
    }
    return '?';
}

int diff_live(Context& context, repo::Repository& repository, const Selected& selected, const std::string& below,
              const LiveChoice& choice) {
    return LiveDiff(context, repository, selected, below, choice).run();
}

}  // namespace holdfast::app
