#include "app/source_options.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "source/machine_options.h"

namespace holdfast::app {

void add_source_option(SourceOptions& given, Options& options, const SourceOption& option) {
    std::vector<std::string>& values = given[std::string(option.name)];
    std::string name = "--" + std::string(option.name);
    std::ranges::replace(name, '_', '-');
    const std::string help(option.help);
    const auto one = [&](std::string_view value, auto is_right, std::string_view shape) {
        Option& made = options.list(values, name, std::string(value), help);
        made.kind = Option::Kind::value;
        made.take = [&values, name, is_right, shape](const std::string& text) {
            if (!is_right(text)) throw Error{Code::usage, "{} needs {}, not `{}`", name, shape, text};
            values = {text};
        };
    };
    switch (option.type) {
        case SourceOption::Type::flag: {
            bool unused = false;
            options.flag(unused, name, help).take = [&values](const std::string&) { values = {"true"}; };
            break;
        }
        case SourceOption::Type::list:
            options.list(values, name, "VALUE", help);
            break;
        case SourceOption::Type::reference:
        case SourceOption::Type::secret:
        case SourceOption::Type::text:
            one(
                "VALUE", [](const std::string&) { return true; }, "a text");
            break;
        case SourceOption::Type::size:
            one(
                "SIZE", [](const std::string& text) { return parse_size(text).has_value(); }, "a size such as `10M`");
            break;
        case SourceOption::Type::duration:
            one(
                "TIME", [](const std::string& text) { return parse_duration(text).has_value(); },
                "a duration such as `5m`");
            break;
    }
}

SourceOptions machine_options(const SourceType& type, const Config& config, const std::string& source) {
    const SourceConfig* const configured = config.source(source);
    return configured == nullptr ? SourceOptions{} : holdfast::machine_options(type, configured->options);
}

}  // namespace holdfast::app
