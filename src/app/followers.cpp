#include "app/followers.h"

#include <signal.h>

#include <algorithm>
#include <ranges>

#include "app/json.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr Nanoseconds wait_min = one_second;
constexpr Nanoseconds wait_max = 5 * 60 * one_second;
constexpr Nanoseconds settled_after = 10 * 60 * one_second;  // who ran so long begins with a short wait again
constexpr Nanoseconds tell_every = 10 * one_second;
constexpr Nanoseconds stop_wait = 30 * one_second;  // from asking one to end to killing it
constexpr std::size_t line_bytes_max = 1 << 20;

// All of the configuration that makes one work otherwise; where that stands in the file does not.
std::string text_of_repositories(const Config& config) {
    std::string out;
    for (const RepositoryConfig& each : config.repositories)
        out += fmt::format("\n{} {} {} {} {} {} {} {} {} {} {} {}", each.name, each.url, each.endpoint, each.region,
                           each.profile, each.addressing, each.compression, each.storage_class, each.encryption,
                           each.kms_key, each.replica_of, each.unlock ? each.unlock->secret.text : "");
    return out;
}
std::string text_of(const SourceConfig& source) {
    std::string out = fmt::format("{} {} {}", source.kind, source.rpo.value_or(0), source.domain);
    for (const auto& [name, values] : source.options) out += fmt::format("\n{}: {}", name, join(values, "\n- "));
    return out;
}

}  // namespace

std::string follower_of_copy(const std::string& repository) { return "copy:" + repository; }

void Followers::set(const std::string& name, std::vector<std::string> command, Nanoseconds objective,
                    const std::string& works_by) {
    Followed& mine = followed_[name];
    mine.command = std::move(command);
    mine.leaving = false;
    mine.objective = objective;
    const std::string before = std::exchange(mine.works_by, works_by);
    if (before == mine.works_by) return;
    mine.renewed = mine.child != nullptr;
    mine.start_at = mine.wait = 0;
}

void Followers::set_followed(const Config& config) {
    for (auto& [name, each] : followed_) each.leaving = true;
    const std::string repositories = text_of_repositories(config);
    for (const SourceConfig& source : config.sources)
        if (source.follow)
            set(source.name, {"follow", source.name, "--json", "--verbose"}, source.rpo.value_or(0),
                text_of(source) + repositories);
    for (const RepositoryConfig& each : config.repositories)
        if (each.follow)
            set(follower_of_copy(each.name), {"-r", each.replica_of, "copy", "--to", each.name, "--follow", "--json"},
                each.max_lag.value_or(0), repositories);
    for (auto& [name, each] : followed_)
        if (each.leaving || each.renewed) ask_to_end(name, each);
}

void Followers::ask_to_end(const std::string& source, Followed& followed) {
    if (!followed.child) {
        try {
            tell(source, followed, "stopped");
        } catch (const Error& error) {  // nobody who stops waits for a ledger that is away
            world_.log.warning(fmt::format("that {} is not followed is not noted: {}", source, error.message()));
        }
        return;
    }
    if (followed.kill_at > 0) return;
    followed.kill_at = world_.clock.steady() + stop_wait;
    ::kill(followed.child->pid(), SIGTERM);
}

void Followers::start(const std::string& source, Followed& followed) {
    followed.started = world_.clock.steady();
    followed.parts.clear();
    ChildOptions options = own_child(followed.command, in_use_);
    options.capture_stdout = true;
    try {
        followed.child = std::make_unique<Child>(options);
    } catch (const Error& error) {
        followed.error = error.message();
        followed.wait = std::clamp(followed.wait * 2, wait_min, wait_max);
        followed.start_at = followed.started + followed.wait;
    }
    tell(source, followed, "following");
}

void Followers::read_output(Followed& followed) {
    std::array<std::uint8_t, 4096> bytes;
    while (const auto count = followed.child->read(bytes, std::chrono::steady_clock::now())) {
        if (*count == 0) return;
        followed.text.append(reinterpret_cast<const char*>(bytes.data()), *count);
        if (followed.text.size() > line_bytes_max) followed.text.clear();
        for (std::size_t end; (end = followed.text.find('\n')) != std::string::npos;) {
            take_line(followed, followed.text.substr(0, end));
            followed.text.erase(0, end + 1);
        }
    }
}

// What `follow --json` says of each part: of {"type":"stored","reached":{"time":…}} and "idle" base and changes are stored up to
// then; of "began" nothing can be restored yet.
void Followers::take_line(Followed& followed, const std::string& line) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return;
    const auto text = [](const Json& object, const char* name) {
        const auto found = object.find(name);
        return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto time = [&](const char* name) {
        const auto moment = json.find(name);
        if (moment == json.end() || !moment->is_object()) return std::optional<Nanoseconds>();
        return parse_time(text(*moment, "time"), world_.clock.now());
    };
    const std::string type = text(json, "type");
    if (type != "began" && type != "continued" && type != "stored" && type != "idle") return;
    Nanoseconds& reached = followed.parts[text(json, "source")];
    if (type == "began") reached = 0;
    if (type == "stored" || type == "idle") reached = time("reached").value_or(reached);
    const auto least = std::ranges::min(followed.parts | std::views::values);
    if (least == 0) return;
    if (std::exchange(followed.reached, least) == 0) followed.told = 0;
    followed.error.clear();
}

void Followers::take_end(const std::string& source, Followed& followed, const ExitStatus& status) {
    followed.error = "it ended: " + status.text();
    for (const std::string& line : split(followed.child->stderr_tail(), '\n')) {
        const Json json = Json::parse(line, nullptr, false);
        if (json.is_object() && json.value("type", "") == "error")
            followed.error = json.value("message", followed.error);
    }
    followed.child.reset();
    followed.text.clear();
    followed.kill_at = 0;
    const bool renewed = std::exchange(followed.renewed, false);
    if (stopping_ || followed.leaving) return tell(source, followed, "stopped");
    const Nanoseconds now = world_.clock.steady();
    if (renewed) {
        followed.start_at = now;
        followed.error.clear();
        return tell(source, followed, "waiting");
    }
    followed.wait =
        now - followed.started > settled_after ? wait_min : std::clamp(followed.wait * 2, wait_min, wait_max);
    followed.start_at = now + followed.wait;
    ++followed.restarts;
    world_.log.warning(
        fmt::format("following {} ended: {}; again in {}", source, followed.error, human_duration(followed.wait)));
    tell(source, followed, "waiting");
}

void Followers::tell(const std::string& source, Followed& followed, const std::string& state) {
    followed.told = world_.clock.steady();
    ledger_.tell(
        {source, state, followed.reached, followed.objective, world_.clock.now(), followed.restarts, followed.error});
}

void Followers::step() {
    for (auto each = followed_.begin(); each != followed_.end();) {
        auto& [source, mine] = *each;
        if (mine.child) {
            read_output(mine);
            if (const auto status = mine.child->wait_until(std::chrono::steady_clock::now()))
                take_end(source, mine, *status);
            else if (mine.kill_at > 0 && world_.clock.steady() >= mine.kill_at)
                mine.child->kill(SIGKILL);
            else if (world_.clock.steady() - mine.told >= tell_every)
                tell(source, mine, "following");
        } else if (!mine.leaving && !stopping_ && world_.clock.steady() >= mine.start_at) {
            start(source, mine);
        }
        each = mine.leaving && !mine.child ? followed_.erase(each) : std::next(each);
    }
}

void Followers::stop() {
    if (std::exchange(stopping_, true)) return;
    for (auto& [source, each] : followed_) ask_to_end(source, each);
}

bool Followers::is_idle() const {
    return std::ranges::none_of(followed_, [](const auto& each) { return each.second.child != nullptr; });
}

}  // namespace holdfast::app
