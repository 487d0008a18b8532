#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "app/backup_sources.h"
#include "app/command.h"
#include "app/context.h"
#include "app/registry.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/names.h"
#include "repo/notes.h"

namespace holdfast::app {

namespace {

constexpr int errors_exit = 1;
constexpr int warnings_exit = 3;

struct Examined {
    std::string name;
    std::string url;
    Observations all;
};

Observation failure_of(const std::string& what, const Error& error) {
    return {what, Severity::error, error.message(), error.hint()};
}

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// What others may not do with a file: `verb` says it of them.
struct FileRule {
    const char* what;
    mode_t refused;
    const char* verb;
    const char* fix;
};
constexpr FileRule key_file{"key file", S_IRGRP | S_IROTH | S_IWGRP | S_IWOTH, "read", "chmod 600"};
constexpr FileRule config_file{"configuration", S_IWOTH, "changed", "chmod o-w"};  // it holds no secrets

void look_at_file(const std::string& path, const FileRule& rule, Observations& out) {
    struct stat info {};
    if (path.empty() || ::stat(path.c_str(), &info) != 0) return;  // that it is missing, opening says
    const bool is_open = (info.st_mode & rule.refused) != 0;
    out.push_back({rule.what, is_open ? Severity::warning : Severity::good,
                   fmt::format("{} can{} be {} by others than its owner", path, is_open ? "" : "not", rule.verb),
                   is_open ? fmt::format("{} {}", rule.fix, path) : ""});
}

void look_at_key_files(const Context& context, const RepositoryChoice& choice, const SecretPlaces& places,
                       Observations& out) {
    look_at_file(places.key_file, key_file, out);
    if (!places.key_file_variable.empty()) look_at_file(variable(places.key_file_variable.c_str()), key_file, out);
    if (!places.password_file_variable.empty())
        look_at_file(variable(places.password_file_variable.c_str()), key_file, out);
    if (choice.unlock && choice.unlock->secret.kind == SecretReference::Kind::file)
        look_at_file(choice.unlock->secret.text, key_file, out);
    look_at_file(context.config_path().value_or(""), config_file, out);
}

// What this key may put, and has been put by somebody.
std::string object_to_put_again(const repo::Repository& repository) {
    const repo::Keyring& keys = repository.keys();
    const repo::SignerId& own = keys.own_id();
    if (keys.may_collect(own)) return repo::names::log_entry(keys.root_id(), 0, 0);
    const auto lane = repository.log().lanes().find({own, 0});
    if (keys.may(own, repo::Right::back_up))
        return lane != repository.log().lanes().end() && lane->second.next > 0 ? repo::names::log_entry(own, 0, 0) : "";
    for (const auto& [id, notes] : repository.notes().all())
        if (!notes.empty()) return repo::names::note(id, 0);
    return "";
}

ExaminePlan open_and_look(Context& context, const RepositoryChoice& choice, const SecretPlaces& places,
                          Observations& out) {
    try {
        const auto repository = context.open_repository(choice, places);
        const repo::Keyring& keys = repository->keys();
        out.push_back({"key", Severity::good,
                       fmt::format("key {} ({}) of the role {} opens it", keys.own_id().hex().substr(0, 12),
                                   keys.own().label, repo::name_of(keys.own().role))});
        if (const repo::Lane* broken = repository->log().broken_lane())
            out.push_back(
                {"logs", Severity::error, broken->broken, "`holdfast check` says more; `prune` waits for `unlock`."});
        return {object_to_put_again(*repository), keys.may_collect(keys.own_id())};
    } catch (const Error& error) {
        if (error.code() == Code::usage)
            out.push_back({"key", Severity::not_tested, error.message(), error.hint()});
        else
            out.push_back(failure_of("key", error));
        return {};
    }
}

void look_at_state(Observations& out) {
    if (state_folder().empty())
        out.push_back({"state", Severity::warning, "there is no home folder for what this machine remembers",
                       "Set XDG_STATE_HOME: without it a store that is rolled back is not noticed."});
}

Examined examine(Context& context, const RepositoryChoice& choice, bool is_alone) {
    Examined out{choice.name, choice.place.url, {}};
    // Of several, each is opened by its own key.
    const SecretPlaces places = is_alone || !choice.unlock ? context.usual_places() : SecretPlaces{};
    look_at_key_files(context, choice, places, out.all);
    look_at_state(out.all);
    const ExaminePlan plan = open_and_look(context, choice, places, out.all);
    try {
        std::ranges::move(examine_store(choice.place, plan, context.world), std::back_inserter(out.all));
    } catch (const Error& error) {
        out.all.push_back(failure_of("store", error));
    }
    return out;
}

// Null: its kind has nothing to say of itself.
const SourceType* examined_type(const SourceConfig& source) {
    const SourceType* const type = source_type(source.kind);
    return type != nullptr && type->examine != nullptr ? type : nullptr;
}

Examined examine(Context& context, const SourceConfig& source, const SourceType& type) {
    Examined out{source.name, source.kind, {}};
    try {
        const SourceOptions options = resolved_options(
            source, type, [&](const SecretReference& reference) { return context.secrets.text_of(reference); });
        out.all = type.examine({context.world, options, source.follow, source.rpo});
    } catch (const Error& error) {
        out.all.push_back(failure_of("source", error));
    }
    return out;
}

Severity worst_of(const std::vector<Examined>& examined) {
    Severity worst = Severity::good;
    for (const Examined& each : examined)
        for (const Observation& one : each.all) worst = std::max(worst, one.severity);
    return worst;
}

void print_text(Output& out, const std::vector<Examined>& examined) {
    for (const Examined& each : examined) {
        out.line(each.name == each.url ? each.url : fmt::format("{} ({})", each.name, each.url));
        for (const Observation& one : each.all) {
            if (out.quiet && one.severity == Severity::good) continue;
            out.line(fmt::format("  {:<10}  {:<11}  {}", name_of(one.severity), one.what, printable(one.text)));
            if (!one.fix.empty()) out.line(fmt::format("  {:<10}  {:<11}  fix: {}", "", "", printable(one.fix)));
        }
    }
}

Json json_of(const std::vector<Examined>& examined, const char* place) {
    Json list = Json::array();
    for (const Examined& each : examined) {
        Json findings = Json::array();
        for (const Observation& one : each.all)
            findings.push_back(
                {{"check", one.what}, {"severity", name_of(one.severity)}, {"text", one.text}, {"fix", one.fix}});
        list.push_back({{"name", each.name}, {place, each.url}, {"findings", findings}});
    }
    return list;
}

int run_doctor(Context& context, const std::vector<std::string>& names) {
    std::vector<RepositoryChoice> choices;
    std::vector<const SourceConfig*> chosen;
    for (const std::string& name : names) {
        const SourceConfig* const source = context.config().source(name);
        if (source != nullptr && examined_type(*source) != nullptr)
            chosen.push_back(source);
        else
            choices.push_back(context.choose_repository(name));
    }
    const bool is_chosen = !context.globals.repository.empty() || !variable("HOLDFAST_REPO").empty();
    if (names.empty() && !is_chosen) {
        for (const RepositoryConfig& each : context.config().repositories)
            choices.push_back(context.choose_repository(each.name));
        for (const SourceConfig& each : context.config().sources)
            if (examined_type(each) != nullptr) chosen.push_back(&each);
    }
    if (choices.empty() && chosen.empty()) choices.push_back(context.choose_repository(context.globals.repository));
    std::vector<Examined> repositories, sources;
    for (const RepositoryChoice& choice : choices)
        repositories.push_back(examine(context, choice, choices.size() == 1));
    for (const SourceConfig* const each : chosen) sources.push_back(examine(context, *each, *examined_type(*each)));
    const Severity worst = std::max(worst_of(repositories), worst_of(sources));
    if (context.out.is_json()) {
        context.out.record({{"schema", "holdfast.doctor/1"},
                            {"ok", worst <= Severity::not_tested},
                            {"repositories", json_of(repositories, "url")},
                            {"sources", json_of(sources, "kind")}});
    } else {
        print_text(context.out, repositories);
        print_text(context.out, sources);
    }
    return worst == Severity::error ? errors_exit : worst == Severity::warning ? warnings_exit : 0;
}

}  // namespace

Command doctor_command() {
    const auto names = std::make_shared<std::vector<std::string>>();
    Command out;
    out.name = "doctor";
    out.part = Part::keep;
    out.summary = "say what is wrong with repositories, their stores, and sources, and the fix";
    out.details =
        "Whether the store answers and keeps its promises, whether clocks agree, what the key may do there; of a "
        "bucket "
        "also versions, encryption, lock, lifecycle rules that would remove or hide backups, and replication; of a "
        "folder its space, file system and permissions; who can read key files. It changes nothing. What this key may "
        "not ask is `not_tested`, with the right that it lacks. Of a Redis server: what of its settings endangers its "
        "data, or the journal, at what it changes now and with the `rpo` that is declared. Exit status 1 with errors, "
        "3 "
        "with warnings only.";
    out.examples = {{"holdfast doctor", "all repositories of the configuration"},
                    {"holdfast doctor s3://backups-eu/platform --json", "one, for programs"}};
    out.options
        .words(*names, "REPO|SOURCE", "configured names, paths or URLs (default: -r, else all that are configured)")
        .offers = Option::Offers::folders;
    out.run = [names](Context& context) { return run_doctor(context, *names); };
    return out;
}

}  // namespace holdfast::app
