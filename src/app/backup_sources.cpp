#include "app/backup_sources.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr std::string_view standard_input = "-";

// Given by the words of the command line itself, never as options.
constexpr std::array<std::string_view, 2> given_by_words{"paths", "run"};

bool knows(const SourceType& type, std::string_view option) {
    return std::ranges::find(type.options, option, &SourceOption::name) != type.options.end();
}

// Lists of the configuration grow by what the command line says, other options are replaced.
void add_options(const SourceType& type, const SourceOptions& given, SourceOptions& to) {
    for (const SourceOption& option : type.options) {
        const auto values = given.find(option.name);
        if (values == given.end() || values->second.empty()) continue;
        std::vector<std::string>& target = to[std::string(option.name)];
        if (option.type != SourceOption::Type::list) target.clear();
        target.insert(target.end(), values->second.begin(), values->second.end());
    }
}

void resolve_all(const SourceConfig& source, const SourceType& type, const ResolveReference& resolve,
                 SourceOptions& options) {
    if (!resolve) return;
    for (const SourceOption& option : type.options) {
        if (option.type != SourceOption::Type::reference && option.type != SourceOption::Type::secret) continue;
        const auto given = options.find(option.name);
        if (given == options.end()) continue;
        for (std::string& value : given->second) {
            auto reference = parse_reference(value);
            if (!reference) continue;
            reference->where = fmt::format("{}: `{}` of source `{}`", source.where, option.name, source.name);
            value = resolve(*reference);
        }
    }
}

class Maker {
public:
    Maker(const SourceRequest& request, std::span<const SourceType* const> types,
          const std::function<const Config&()>& config, const ResolveReference& secret)
        : request_(request), types_(types), config_(config), secret_(secret) {}

    std::vector<std::unique_ptr<Source>> make() {
        if (request_.all) {
            if (!request_.words.empty()) throw Error{Code::usage, "--all and names of sources do not go together"};
            for (const SourceConfig& source : config_().sources) from_configuration(source);
            if (out_.empty())
                throw Error{Code::usage, "the configuration names no sources"}.hint("Add some under `sources`.");
        }
        for (std::size_t i = 0; i < request_.words.size(); ++i) {
            const std::string& word = request_.words[i];
            if (word == standard_input)
                throw Error{Code::usage, "`-` stands for standard input, and follows a `command:NAME`"};
            const bool reads_input = i + 1 < request_.words.size() && request_.words[i + 1] == standard_input;
            if (const SourceType* type = type_of(word)) {
                ad_hoc(*type, word, reads_input);
            } else {
                named(word);
                if (reads_input) throw Error{Code::usage, "source {} does not read standard input", word};
            }
            if (reads_input) ++i;
        }
        check();
        return std::move(out_);
    }

private:
    const SourceType* type_of(const std::string& word) const {
        const std::string scheme = word.substr(0, word.find(':'));
        if (scheme.size() == word.size()) return nullptr;
        for (const SourceType* type : types_) {
            if (type->scheme == scheme || type->other_scheme == scheme) return type;
        }
        constexpr std::array planned{"redis", "rediss", "kubernetes", "s3"};
        if (std::ranges::find(planned, scheme) != planned.end())
            throw Error{Code::usage,
                        "sources of `{}:` are part of holdfast's design but this version does not build them yet",
                        scheme}
                .hint("Until then `command:NAME -- DUMP PROGRAM` stores what its dump program prints.");
        std::vector<std::string> schemes;
        for (const SourceType* type : types_) schemes.push_back(std::string(type->scheme) + ":");
        throw Error{Code::usage, "no kind of source is called `{}:`", scheme}.hint(
            fmt::format("There is {}.", join(schemes, " and ")));
    }

    void ad_hoc(const SourceType& type, const std::string& word, bool reads_input) {
        std::string argument = word.substr(word.find(':') + 1);
        if (argument.empty()) throw Error{Code::usage, "`{}` lacks what comes after the colon", word};
        SourceOptions options;
        add_options(type, request_.options, options);
        std::string named = fmt::format("{}:{}@{}", type.scheme, argument, request_.host);
        if (argument.starts_with("//")) {
            argument = word;
            named = name_of_url(type, word);
            if (reads_input) throw Error{Code::usage, "{} does not read standard input", word};
        } else if (knows(type, "url")) {
            throw Error{Code::usage, "`{}` is no URL", word}.hint(
                fmt::format("Write `{}://USER@HOST:PORT/DATABASE`.", type.scheme));
        } else if (knows(type, "run")) {
            give_command(word, reads_input, options);
        } else if (reads_input) {
            throw Error{Code::usage, "{} does not read standard input", word};
        } else {
            argument = std::filesystem::absolute(argument).lexically_normal().string();
            while (argument.size() > 1 && argument.ends_with('/')) argument.pop_back();
            named = fmt::format("{}:{}@{}", type.scheme, argument, request_.host);
        }
        options["argument"] = {argument};
        const std::string name = request_.name.value_or(named);
        out_.push_back(type.make(name, options));
        ++ad_hoc_count_;
    }

    // "postgres:shop@db1:5432": what is captured, and of which server; a socket's folder stands for this host.
    std::string name_of_url(const SourceType& type, const std::string& word) const {
        const std::size_t begin = word.find("//") + 2;
        const std::size_t end = std::min(word.find_first_of("/?", begin), word.size());
        std::string host = word.substr(begin, end - begin);
        if (const std::size_t at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
        if (host.empty() || host.starts_with("%2F") || host.starts_with(':'))
            host = request_.host + host.substr(0, host.find('%'));
        std::string path = end < word.size() && word[end] == '/' ? word.substr(end + 1) : "";
        path = path.substr(0, path.find('?'));
        return fmt::format("{}:{}@{}", type.scheme, path.empty() ? "all" : path, host);
    }

    void give_command(const std::string& word, bool reads_input, SourceOptions& options) {
        if (reads_input) {
            options["run"] = {std::string(standard_input)};
            if (++input_readers_ > 1) throw Error{Code::usage, "only one source can read standard input"};
            return;
        }
        if (request_.command_line.empty())
            throw Error{Code::usage, "`{}` lacks its command", word}.hint(
                fmt::format("Write `{} -- COMMAND ARGUMENTS…`, or `{} -` for standard input.", word, word));
        options["run"] = request_.command_line;
        if (++command_runners_ > 1)
            throw Error{Code::usage, "only one `command:` source can have a command in one call"};
    }

    void named(const std::string& word) {
        const Config& config = config_();
        if (const SourceConfig* source = config.source(word); source != nullptr && source->name == word) {
            from_configuration(*source);
            return;
        }
        std::vector<std::string> names;
        for (const SourceConfig& each : config.sources) names.push_back(each.name);
        Error error{Code::usage, "there is no source `{}`", word};
        if (const auto near = nearest(word, names))
            throw std::move(error).hint(fmt::format("Did you mean `{}`?", *near));
        if (names.empty()) throw std::move(error).hint(fmt::format("For a folder write `files:{}`.", word));
        throw std::move(error).hint(
            fmt::format("The configuration has: {}. For a folder write `files:{}`.", join(names, ", "), word));
    }

    void from_configuration(const SourceConfig& source) {
        const Note note{"preparing source {} of {}", source.name, source.where};
        for (const SourceType* type : types_) {
            if (type->kind != source.kind) continue;
            SourceOptions options = source.options;
            add_options(*type, request_.options, options);
            resolve_all(source, *type, secret_, options);
            out_.push_back(type->make(source.name, options));
        }
    }

    void check() const {
        if (out_.empty()) {
            Error error{Code::usage, "nothing is named that is to be backed up"};
            std::vector<std::string> names;
            for (const SourceConfig& each : config_().sources) names.push_back(each.name);
            if (names.empty())
                throw std::move(error).hint("Name a folder such as `files:/etc`, or sources in the configuration.");
            throw std::move(error).hint(
                fmt::format("The configuration has: {}. `--all` takes them all.", join(names, ", ")));
        }
        if (request_.name && (out_.size() != 1 || ad_hoc_count_ != 1))
            throw Error{Code::usage, "--name goes with one source that is described on the command line"};
        if (!request_.command_line.empty() && command_runners_ == 0)
            throw Error{Code::usage, "a command follows `--`, but no `command:NAME` takes it"};
    }

    const SourceRequest& request_;
    std::span<const SourceType* const> types_;
    const std::function<const Config&()>& config_;
    const ResolveReference& secret_;
    std::vector<std::unique_ptr<Source>> out_;
    std::size_t ad_hoc_count_ = 0;
    std::size_t input_readers_ = 0;
    std::size_t command_runners_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Source>> make_sources(const SourceRequest& request,
                                                  std::span<const SourceType* const> types,
                                                  const std::function<const Config&()>& config,
                                                  const ResolveReference& resolve) {
    return Maker(request, types, config, resolve).make();
}

SourceOptions resolved_options(const SourceConfig& source, const SourceType& type, const ResolveReference& resolve) {
    SourceOptions out = source.options;
    resolve_all(source, type, resolve, out);
    return out;
}

std::vector<SourceOption> command_line_options(std::span<const SourceType* const> types) {
    std::vector<SourceOption> out;
    for (const SourceType* type : types) {
        for (const SourceOption& option : type->options) {
            if (std::ranges::find(given_by_words, option.name) != given_by_words.end() ||
                option.type == SourceOption::Type::reference || option.type == SourceOption::Type::secret)
                continue;
            if (std::ranges::find(out, option.name, &SourceOption::name) == out.end()) out.push_back(option);
        }
    }
    return out;
}

}  // namespace holdfast::app
