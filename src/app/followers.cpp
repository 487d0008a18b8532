#include "app/followers.h"

#include <signal.h>

#include <algorithm>
#include <ranges>

#include "app/child_executor.h"
#include "app/json.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr Nanoseconds wait_min = one_second;
constexpr Nanoseconds wait_max = 5 * 60 * one_second;
constexpr Nanoseconds settled_after = 10 * 60 * one_second;  // who ran so long begins with a short wait again
constexpr Nanoseconds tell_every = 10 * one_second;
constexpr std::size_t line_bytes_max = 1 << 20;

}  // namespace

void Followers::set_sources(const std::vector<SourceConfig>& sources) {
    for (auto& [name, each] : followed_) each.leaving = true;
    for (const SourceConfig& source : sources) {
        if (!source.follow) continue;
        Followed& mine = followed_[source.name];
        mine.leaving = false;
        mine.objective = source.rpo.value_or(0);
    }
    for (auto& [name, each] : followed_)
        if (each.leaving && each.child) ::kill(each.child->pid(), SIGTERM);
}

void Followers::start(const std::string& source, Followed& followed) {
    followed.started = world_.clock.steady();
    followed.parts.clear();
    ChildOptions options = own_child({"follow", source, "--json", "--verbose"}, config_);
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

// What `follow --json` says of each part: {"type":"continued","at":{"time":…}} and {"type":"stored","reached":{"time":…}} are
// stored up to then, so is "idle"; {"type":"began","at":…} is once its base is, {"type":"snapshot"}.
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
    if (type != "began" && type != "continued" && type != "snapshot" && type != "stored" && type != "idle") return;
    Part& part = followed.parts[text(json, "source")];
    if (type == "began") part = {0, time("at").value_or(0)};
    if (type == "continued") part.reached = time("at").value_or(part.reached);
    if (type == "snapshot") part.reached = std::max(part.reached, part.begins);
    if (type == "stored" || type == "idle") part.reached = time("reached").value_or(part.reached);
    const auto least = std::ranges::min(followed.parts | std::views::values | std::views::transform(&Part::reached));
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
    if (stopping_ || followed.leaving) return tell(source, followed, "stopped");
    const Nanoseconds now = world_.clock.steady();
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
    for (auto& [source, each] : followed_)
        if (each.child) ::kill(each.child->pid(), SIGTERM);
}

bool Followers::is_idle() const {
    return std::ranges::none_of(followed_, [](const auto& each) { return each.second.child != nullptr; });
}

}  // namespace holdfast::app
