#include "app/config.h"
#include "app/json.h"

namespace holdfast::app {

namespace {

Json words_schema() { return {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 1}}; }

Json checks_schema() {
    const Json text{{"type", "string"}};
    const Json check{{"type", "object"},
                     {"properties",
                      {{"sql", text},
                       {"exec", words_schema()},
                       {"expect", {{"type", {"string", "number"}}}},
                       {"timeout", text},
                       {"database", text}}},
                     {"additionalProperties", false}};
    return {{"type", "array"}, {"items", check}, {"description", "run by `prove` and after `restore`"}};
}

Json hooks_schema() {
    const Json commands{{"type", "array"}, {"items", {{"oneOf", {Json{{"type", "string"}}, words_schema()}}}}};
    return {{"type", "object"},
            {"properties", {{"before", commands}, {"after", commands}, {"on_failure", commands}}},
            {"additionalProperties", false},
            {"description", "commands around a restore"}};
}

}  // namespace

std::string config_schema(std::span<const SourceType* const> types) {
    const Json name{{"pattern", "^[A-Za-z0-9][A-Za-z0-9._-]*$"}};
    const Json reference{{"type", "string"}, {"pattern", "^(env|file|exec):.+"}};
    Json kinds = Json::array();
    for (const SourceType* type : types) {
        Json properties{{"kind", {{"const", type->kind}}}};
        for (const SourceOption& option : type->options) {
            Json& property = properties[std::string(option.name)];
            switch (option.type) {
                case SourceOption::Type::list:
                    property = {{"type", "array"}, {"items", {{"type", "string"}}}};
                    break;
                case SourceOption::Type::flag:
                    property = {{"type", "boolean"}};
                    break;
                case SourceOption::Type::size:
                    property = {{"type", {"string", "integer"}}};
                    break;
                case SourceOption::Type::secret:
                    property = reference;
                    break;
                case SourceOption::Type::duration:
                case SourceOption::Type::reference:
                case SourceOption::Type::text:
                    property = {{"type", "string"}};
                    break;
            }
            property["description"] = option.help;
        }
        properties["checks"] = checks_schema();
        properties["hooks"] = hooks_schema();
        const Json duration{{"type", "string"}};
        properties["objectives"] = {
            {"type", "object"}, {"properties", {{"rpo", duration}}}, {"additionalProperties", false}};
        if (type->has_journal) {
            properties["follow"] = {{"type", "boolean"}, {"description", "capture changes as they come"}};
            properties["window"] = {{"type", "string"}, {"description", "how long every instant stays reachable"}};
        }
        kinds.push_back(
            {{"type", "object"}, {"properties", properties}, {"required", {"kind"}}, {"additionalProperties", false}});
    }
    const Json unlock{{"type", "object"},
                      {"properties", {{"passphrase", reference}, {"keyfile", reference}}},
                      {"minProperties", 1},
                      {"maxProperties", 1},
                      {"additionalProperties", false}};
    const Json repository{{"type", "object"},
                          {"properties",
                           {{"url", {{"type", "string"}}},
                            {"endpoint", {{"type", "string"}}},
                            {"region", {{"type", "string"}}},
                            {"unlock", unlock}}},
                          {"required", {"url"}},
                          {"additionalProperties", false}};
    const auto map_of = [&](const Json& value) {
        return Json{{"type", "object"}, {"propertyNames", name}, {"additionalProperties", value}};
    };
    const Json schema{
        {"$schema", "https://json-schema.org/draft/2020-12/schema"},
        {"title", "holdfast configuration"},
        {"type", "object"},
        {"properties",
         {{"version", {{"const", 1}}}, {"repositories", map_of(repository)}, {"sources", map_of({{"oneOf", kinds}})}}},
        {"required", {"version"}},
        {"additionalProperties", false}};
    return schema.dump(2);
}

}  // namespace holdfast::app
