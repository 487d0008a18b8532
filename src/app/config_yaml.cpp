#include "app/config_yaml.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/hooks.h"

namespace holdfast::app {

namespace {

namespace keys = config_keys;

constexpr std::size_t values_max = 100'000;

ConfigProblem problem_at(const YAML::Mark& mark, std::string text, std::string hint) {
    ConfigProblem out{0, 0, std::move(text), std::move(hint)};
    if (!mark.is_null()) {
        out.line = static_cast<std::size_t>(mark.line) + 1;
        out.column = static_cast<std::size_t>(mark.column) + 1;
    }
    return out;
}

// Goes through a document as if every alias were written out, and stops where that has no end.
class ShapeWalk {
public:
    bool is_bounded(const YAML::Node& node) {
        if (++values_ > values_max) return fails(node, "aliases make it unfold to more than 100,000 values");
        if (!node.IsMap() && !node.IsSequence()) return true;
        if (std::ranges::any_of(above_, [&](const YAML::Node& each) { return each.is(node); }))
            return fails(node, "an anchor stands inside what it stands for, without end");
        above_.push_back(node);
        for (const auto& each : node) {
            if (node.IsMap() ? !is_bounded(each.first) || !is_bounded(each.second) : !is_bounded(each)) return false;
        }
        above_.pop_back();
        return true;
    }

    std::optional<ConfigProblem> problem;

private:
    bool fails(const YAML::Node& node, std::string_view why) {
        problem = problem_at(node.Mark(), fmt::format("this is no configuration: {}", why), "Write out what it means.");
        return false;
    }

    std::size_t values_ = 0;
    std::vector<YAML::Node> above_;
};

}  // namespace

std::string list_of(keys::Names names) {
    std::string out;
    for (const std::string_view name : names) out += (out.empty() ? "`" : ", `") + std::string(name) + "`";
    return out;
}

std::string type_of(const YAML::Node& node) {
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            return fmt::format("`{}`", node.Scalar());
        case YAML::NodeType::Sequence:
            return "a list";
        case YAML::NodeType::Map:
            return "a map";
        case YAML::NodeType::Null:
        case YAML::NodeType::Undefined:
            break;
    }
    return "nothing";
}

std::string hint_for(const std::string& name, const std::vector<std::string>& candidates) {
    if (const auto near = nearest(name, candidates)) return fmt::format("Did you mean `{}`?", *near);
    if (candidates.empty()) return "There is none.";
    return fmt::format("There is `{}`.", join(candidates, "`, `"));
}

std::string hint_for(const std::string& name, keys::Names built, keys::Names planned) {
    std::vector<std::string> candidates(built.begin(), built.end());
    candidates.insert(candidates.end(), planned.begin(), planned.end());
    if (const auto near = nearest(name, candidates)) return fmt::format("Did you mean `{}`?", *near);
    return fmt::format("There is {}.", list_of(built));
}

std::optional<ConfigProblem> problem_with_shape(const YAML::Node& root) {
    ShapeWalk walk;
    walk.is_bounded(root);
    return walk.problem;
}

YamlReader::YamlReader(std::string path, std::vector<ConfigProblem>& problems)
    : path_(std::move(path)), folder_(std::filesystem::path(path_).parent_path().string()), problems_(problems) {}

void YamlReader::add(const YAML::Mark& mark, std::string text, std::string hint) {
    problems_.push_back(problem_at(mark, std::move(text), std::move(hint)));
}

std::string YamlReader::place(const YAML::Node& node) const {
    return fmt::format("{}:{}:{}", path_, node.Mark().line + 1, node.Mark().column + 1);
}

std::string YamlReader::absolute(const std::string& path) const {
    if (path.starts_with("~/")) return home_folder() + path.substr(1);
    if (path.starts_with('/') || path.find("://") != std::string::npos || folder_.empty()) return path;
    return join_path(folder_, path);
}

bool YamlReader::is_map(const YAML::Node& node, const YAML::Node& at, const std::string& what,
                        const std::string& hint) {
    if (node.IsMap()) return true;
    problem(node.IsNull() ? at : node, fmt::format("{} must be a map, not {}", what, type_of(node)), hint);
    return false;
}

void YamlReader::read_map(const YAML::Node& map, const std::string& what, keys::Names built, keys::Names planned,
                          const Member& each) {
    std::vector<std::string> seen;
    for (const auto& pair : map) {
        const YAML::Node& key = pair.first;
        if (!key.IsScalar()) {
            problem(key, fmt::format("a key of {} must be a name, not {}", what, type_of(key)), "");
            continue;
        }
        const std::string& name = key.Scalar();
        if (std::ranges::find(seen, name) != seen.end()) {
            problem(key, fmt::format("`{}` stands twice in {}", name, what), "Keep one of them.");
            continue;
        }
        seen.push_back(name);
        if (std::ranges::find(built, name) != built.end()) {
            each(name, key, pair.second);
        } else if (std::ranges::find(planned, name) != planned.end()) {
            problem(key, fmt::format("`{}` is part of holdfast's design but this version does not build it yet", name),
                    fmt::format("Remove it from {} for now.", what));
        } else {
            problem(key, fmt::format("{} has no key `{}`", what, name), hint_for(name, built, planned));
        }
    }
}

void YamlReader::read_named(const YAML::Node& map, const std::string& what, const Member& each) {
    if (!map.IsMap()) {
        problem(map, fmt::format("`{}` must be a map of names, not {}", what, type_of(map)), "");
        return;
    }
    std::vector<std::string> seen;
    for (const auto& pair : map) {
        const std::string name = pair.first.IsScalar() ? pair.first.Scalar() : "";
        if (!is_plain_name(name)) {
            problem(pair.first,
                    fmt::format("a name in `{}` has letters, digits, `-`, `_` and `.` only, and does not "
                                "begin with a sign",
                                what),
                    "");
        } else if (std::ranges::find(seen, name) != seen.end()) {
            problem(pair.first, fmt::format("`{}` stands twice in `{}`", name, what), "Names are unique.");
        } else {
            seen.push_back(name);
            each(name, pair.first, pair.second);
        }
    }
}

std::optional<std::string> YamlReader::text(const YAML::Node& node, const std::string& what) {
    if (!node.IsScalar()) {
        problem(node, fmt::format("{} must be a text, not {}", what, type_of(node)), "");
        return std::nullopt;
    }
    if (has_password(node.Scalar())) {
        problem(node, fmt::format("{} is a URL with a password in it", what),
                "Secrets are given by reference only: `env:NAME`, `file:PATH` or `exec:COMMAND`.");
        return std::nullopt;
    }
    return node.Scalar();
}

std::optional<bool> YamlReader::flag(const YAML::Node& node, const std::string& what) {
    const auto value = text(node, what);
    if (!value) return std::nullopt;
    bool out = false;
    if (YAML::convert<bool>::decode(node, out)) return out;
    problem(node, fmt::format("{} must be true or false, not `{}`", what, *value), "");
    return std::nullopt;
}

std::optional<std::uint32_t> YamlReader::count(const YAML::Node& node, const std::string& what) {
    const auto value = text(node, what);
    if (!value) return std::nullopt;
    std::uint32_t out = 0;
    const auto [end, failure] = std::from_chars(value->data(), value->data() + value->size(), out);
    if (failure == std::errc{} && end == value->data() + value->size()) return out;
    problem(node, fmt::format("{} must be a whole number, not `{}`", what, *value), "");
    return std::nullopt;
}

std::optional<std::uint64_t> YamlReader::size(const YAML::Node& node, const std::string& what) {
    const auto value = text(node, what);
    if (!value) return std::nullopt;
    const auto out = parse_size(*value);
    if (!out)
        problem(node, fmt::format("{} must be a size, not `{}`", what, *value),
                "Sizes look like `512K`, `10M` or `1.5G`.");
    return out;
}

std::optional<Nanoseconds> YamlReader::duration(const YAML::Node& node, const std::string& what) {
    const auto value = text(node, what);
    if (!value) return std::nullopt;
    const auto out = parse_duration(*value);
    if (!out)
        problem(node, fmt::format("{} must be a duration, not `{}`", what, *value),
                "Durations look like `90s`, `15m` or `2h`.");
    return out;
}

std::vector<std::string> YamlReader::texts(const YAML::Node& node, const std::string& what) {
    std::vector<std::string> out;
    if (!node.IsSequence()) {
        problem(node, fmt::format("{} must be a list, not {}", what, type_of(node)), "Write it as `[one, two]`.");
        return out;
    }
    for (const YAML::Node& each : node)
        if (auto element = text(each, fmt::format("an element of {}", what))) out.push_back(std::move(*element));
    return out;
}

std::vector<std::string> YamlReader::words(const YAML::Node& node, const std::string& what) {
    std::vector<std::string> out;
    if (node.IsSequence()) {
        for (const YAML::Node& each : node) {
            if (auto word = text(each, fmt::format("an element of {}", what))) out.push_back(std::move(*word));
        }
    }
    if (out.empty() || out.front().empty())
        problem(node, fmt::format("{} must be a list of a program and its arguments, not {}", what, type_of(node)),
                "Write it as `[program, argument]`.");
    return out;
}

policy::Hooks YamlReader::hooks(const YAML::Node& node, const std::string& of) {
    policy::Hooks out;
    const std::string what = fmt::format("`hooks` of {}", of);
    if (!node.IsMap()) {
        problem(node, fmt::format("{} must be a map, not {}", what, type_of(node)),
                "Write `hooks: {before: [\"systemctl stop app\"], after: [\"systemctl start app\"]}`.");
        return out;
    }
    read_map(node, what, keys::hooks, {}, [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
        auto& list = key == "before" ? out.before : key == "after" ? out.after : out.on_failure;
        list = hook_list(value, fmt::format("`{}` of {}", key, what));
    });
    return out;
}

// A text is a line for the shell, a list a program and its arguments; either is `run` of a map with a timeout.
std::vector<policy::Hook> YamlReader::hook_list(const YAML::Node& node, const std::string& what) {
    std::vector<policy::Hook> out;
    if (!node.IsSequence()) {
        problem(node, fmt::format("{} must be a list of commands, not {}", what, type_of(node)),
                "Write it as `[\"systemctl stop app\"]`, or `[[systemctl, stop, app]]` without a shell.");
        return out;
    }
    for (const YAML::Node& each : node)
        if (auto one = hook(each, fmt::format("a command in {}", what))) out.push_back(std::move(*one));
    return out;
}

std::optional<policy::Hook> YamlReader::hook(const YAML::Node& node, const std::string& what) {
    if (node.IsSequence()) return policy::Hook{.argv = words(node, what)};
    if (!node.IsMap()) {
        const auto line = text(node, what);
        return line ? std::optional(engine::shell_hook(*line)) : std::nullopt;
    }
    std::optional<policy::Hook> out;
    std::optional<Nanoseconds> timeout;
    read_map(node, what, keys::hook, {}, [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
        const std::string part = fmt::format("`{}` of {}", key, what);
        if (key == "timeout")
            timeout = duration(value, part);
        else if (value.IsMap())
            problem(value, fmt::format("{} must be a command, not a map", part),
                    "Write `{run: COMMAND, timeout: 5m}`.");
        else
            out = hook(value, part);
    });
    if (!node["run"]) problem(node, fmt::format("{} has no `run`", what), "Write `{run: COMMAND, timeout: 5m}`.");
    if (timeout == Nanoseconds{0})
        problem(node["timeout"], fmt::format("`timeout` of {} must be longer than 0", what), "");
    if (out) out->timeout = timeout;
    return out;
}

std::optional<std::size_t> YamlReader::choice(const YAML::Node& node, const std::string& what, keys::Names names) {
    const auto value = text(node, what);
    if (!value) return std::nullopt;
    const auto found = std::ranges::find(names, *value);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    problem(node, fmt::format("{} must be one of {}, not `{}`", what, list_of(names), *value), hint_for(*value, names));
    return std::nullopt;
}

}  // namespace holdfast::app
