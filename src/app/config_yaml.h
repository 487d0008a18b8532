// app/config_yaml.h: reading the configuration's YAML: values of the right type, or what is wrong with them and where.
//
// Shape    each reader of a section derives from YamlReader; `what` names the thing in messages: "`url` of repository `a`"
// Errors   none are thrown for what the file says; problems are gathered
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/config_keys.h"

namespace holdfast::app {

std::string list_of(config_keys::Names names);  // "`one`, `two`"
std::string type_of(const YAML::Node& node);    // "a list", "`text`"
// "Did you mean `near`?", else which ones there are.
std::string hint_for(const std::string& name, config_keys::Names built, config_keys::Names planned = {});
std::string hint_for(const std::string& name, const std::vector<std::string>& candidates);
// Of a configuration whose anchors loop or unfold beyond measure; nothing: it can be walked.
std::optional<ConfigProblem> problem_with_shape(const YAML::Node& root);

class YamlReader {
public:
    YamlReader(std::string path, std::vector<ConfigProblem>& problems);

protected:
    using Member = std::function<void(const std::string& key, const YAML::Node& at, const YAML::Node& value)>;

    void add(const YAML::Mark& mark, std::string text, std::string hint);
    void problem(const YAML::Node& node, std::string text, std::string hint) {
        add(node.Mark(), std::move(text), std::move(hint));
    }
    std::size_t problem_count() const { return problems_.size(); }
    std::string place(const YAML::Node& node) const;  // "holdfast.yaml:3:20"
    // Relative to the folder of the file, so that it means the same wherever holdfast is started.
    std::string absolute(const std::string& path) const;

    // Says so when it is none.
    bool is_map(const YAML::Node& node, const YAML::Node& at, const std::string& what, const std::string& hint);
    // Calls `each` for the keys that are built; says what is wrong with the others.
    void read_map(const YAML::Node& map, const std::string& what, config_keys::Names built, config_keys::Names planned,
                  const Member& each);
    // Calls `each` for every named thing below a key such as `sources`.
    void read_named(const YAML::Node& map, const std::string& what, const Member& each);

    std::optional<std::string> text(const YAML::Node& node, const std::string& what);
    std::optional<bool> flag(const YAML::Node& node, const std::string& what);
    std::optional<std::uint32_t> count(const YAML::Node& node, const std::string& what);
    std::optional<std::uint64_t> size(const YAML::Node& node, const std::string& what);
    std::optional<Nanoseconds> duration(const YAML::Node& node, const std::string& what);
    std::vector<std::string> texts(const YAML::Node& node, const std::string& what);
    // A program and its arguments; never empty.
    std::vector<std::string> words(const YAML::Node& node, const std::string& what);
    policy::Hooks hooks(const YAML::Node& node, const std::string& of);
    // One of `names`, by its place; says so when it is none of them.
    std::optional<std::size_t> choice(const YAML::Node& node, const std::string& what, config_keys::Names names);

private:
    std::vector<policy::Hook> hook_list(const YAML::Node& node, const std::string& what);
    std::optional<policy::Hook> hook(const YAML::Node& node, const std::string& what);

    const std::string path_;
    const std::string folder_;
    std::vector<ConfigProblem>& problems_;
};

}  // namespace holdfast::app
