#include "app/config.h"
#include "app/config_keys.h"
#include "app/json.h"
#include "codec/compress.h"

namespace holdfast::app {

namespace {

Json text_schema(std::string_view description) { return {{"type", "string"}, {"description", description}}; }
Json count_schema(std::string_view description) {
    return {{"type", "integer"}, {"minimum", 0}, {"description", description}};
}
Json texts_schema(std::string_view description) {
    return {{"type", "array"}, {"items", {{"type", "string"}}}, {"description", description}};
}
Json size_schema(std::string_view description) {
    return {{"type", {"string", "integer"}}, {"description", description}};
}
Json choice_schema(config_keys::Names names, std::string_view description) {
    return {{"enum", names}, {"description", description}};
}
// Keys that are not named are errors.
Json object_schema(const Json& properties, std::string_view description, const Json& required = Json::array()) {
    Json out{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!description.empty()) out["description"] = description;
    if (!required.empty()) out["required"] = required;
    return out;
}

Json words_schema() { return {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 1}}; }

Json checks_schema() {
    const Json text{{"type", "string"}};
    const Json check{{"type", "object"},
                     {"properties",
                      {{"sql", text},
                       {"exec", words_schema()},
                       {"http", text},
                       {"expect", {{"type", {"string", "number"}}}},
                       {"timeout", text},
                       {"database", text}}},
                     {"additionalProperties", false}};
    return {{"type", "array"}, {"items", check}, {"description", "run by `prove` and after `restore`"}};
}

Json hooks_schema() {
    const Json command{{"oneOf", {Json{{"type", "string"}}, words_schema()}}};
    const Json limited = {{"type", "object"},
                          {"properties", {{"run", command}, {"timeout", text_schema("after which it is ended")}}},
                          {"required", {"run"}},
                          {"additionalProperties", false}};
    const Json commands{{"type", "array"}, {"items", {{"oneOf", {Json{{"type", "string"}}, words_schema(), limited}}}}};
    return {{"type", "object"},
            {"properties", {{"before", commands}, {"after", commands}, {"on_failure", commands}}},
            {"additionalProperties", false},
            {"description", "commands around a restore or a job"}};
}

Json retention_schema() {
    Json out = object_schema({{"last", count_schema("the newest N")},
                              {"hourly", count_schema("one for each of the last N hours that have any")},
                              {"daily", count_schema("one for each of the last N days that have any")},
                              {"weekly", count_schema("one for each of the last N weeks that have any")},
                              {"monthly", count_schema("one for each of the last N months that have any")},
                              {"yearly", count_schema("one for each of the last N years that have any")},
                              {"within", text_schema("all that are at most so much older than the newest")},
                              {"tags", texts_schema("all with one of these tags, KEY or KEY=VALUE")},
                              {"keep_last_good", count_schema("the newest N that passed a proof; 1 unless given")},
                              {"window", text_schema("how long every instant of followed sources stays reachable")}},
                             "which snapshots are kept");
    out["minProperties"] = 1;
    return out;
}

Json prove_schema() {
    return object_schema({{"pick", choice_schema(config_keys::pick, "which snapshot of each source")},
                          {"to", text_schema("an environment that the newest is restored to, instead of a sandbox")},
                          {"level", {{"enum", {"V0", "V1", "V2", "V3", "V4"}}, {"description", "how far"}}},
                          {"budget", object_schema({{"bytes", size_schema("to restore at most in one run")},
                                                    {"time", text_schema("after which no further proof begins")}},
                                                   "what one run may cost")}},
                         "restores into a sandbox and compares");
}

Json job_schema() {
    const Json nothing = object_schema(Json::object(), "");
    Json export_task = object_schema({{"source", text_schema("whose newest snapshot it is")},
                                      {"as", texts_schema("formats, such as custom or sql.gz")},
                                      {"to", text_schema("a folder; {date} and {time} are those of the run")},
                                      {"keep", text_schema("how long the files stay")}},
                                     "plain dumps for other programs", {"source", "to"});
    Json check = object_schema(
        {{"read_data", {{"type", {"boolean", "string"}}, {"description", "true, a share (10%) or a size (5G)"}}}},
        "checks the repository itself");
    const Json properties{
        {"prove", prove_schema()},
        {"export", export_task},
        {"forget", nothing},
        {"prune", nothing},
        {"check", check},
        {"sources", texts_schema("what is backed up; of prove and forget jobs: all unless given")},
        {"repository", text_schema("where to; the one that is no replica unless given")},
        {"copies", texts_schema("repositories that each snapshot is copied to")},
        {"tags",
         {{"type", "object"},
          {"additionalProperties", {{"type", {"string", "number", "boolean"}}}},
          {"description", "of each snapshot"}}},
        {"retention",
         {{"oneOf", {text_schema("a name of `retention`, or operational, dr, compliance, test"), retention_schema()}}}},
        {"schedule", text_schema("five fields of cron, or @daily and the like")},
        {"timezone", text_schema("a name such as Europe/Berlin; UTC unless given")},
        {"after", texts_schema("jobs that it waits for; without a schedule it follows them")},
        {"allowed_hours", text_schema("22:00-06:00: when it may start")},
        {"jitter", text_schema("it starts at most so much later, by its name")},
        {"catch_up", choice_schema(config_keys::catch_up, "of due times while no daemon ran")},
        {"concurrency", choice_schema(config_keys::concurrency, "when it is due and still runs")},
        {"on_failure", object_schema({{"retry", count_schema("how many times")},
                                      {"backoff", text_schema("before the first retry; doubles with each")}},
                                     "what happens then")},
        {"timeout", text_schema("how long one attempt may take")},
        {"overdue_after", text_schema("how old its last success may get")},
        {"limits", object_schema({{"upload", size_schema("bytes a second")},
                                  {"load", {{"type", "number"}, {"description", "load average above which it waits"}}}},
                                 "what it may use")},
        {"hooks", hooks_schema()}};
    return object_schema(properties, "");
}

Json service_schema() {
    return object_schema({{"ledger", text_schema("sqlite:PATH, postgres://…, or a reference to one")}}, "the daemon");
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
        properties["component"] = text_schema("the line of `report proof` that it belongs to");
        properties["domain"] = text_schema("what is stored of it deduplicates with what is of the same domain only");
        properties["criticality"] = choice_schema(policy::criticality_names, "how bad it is to lose it");
        properties["objectives"] = object_schema({{"rpo", text_schema("no more than this may be lost")},
                                                  {"rto", text_schema("it shall be back within this time")}},
                                                 "what is promised of it");
        if (type->has_journal) {
            properties["follow"] = {{"type", "boolean"}, {"description", "capture changes as they come"}};
            properties["window"] = {{"type", "string"}, {"description", "how long every instant stays reachable"}};
        }
        kinds.push_back(
            {{"type", "object"}, {"properties", properties}, {"required", {"kind"}}, {"additionalProperties", false}});
    }
    const Json unlock{{"type", "object"},
                      {"properties", {{"passphrase", reference}, {"keyfile", reference}, {"credential", reference}}},
                      {"minProperties", 1},
                      {"maxProperties", 1},
                      {"additionalProperties", false}};
    const Json repository{{"type", "object"},
                          {"properties",
                           {{"url", {{"type", "string"}}},
                            {"endpoint", {{"type", "string"}}},
                            {"region", {{"type", "string"}}},
                            {"profile", text_schema("of ~/.aws/credentials and ~/.aws/config, for this bucket only")},
                            {"addressing", choice_schema(config_keys::addressing, "of the bucket in its URLs")},
                            {"compression", choice_schema(codec::compressions, "of what is written to it")},
                            {"storage_class", text_schema("of packs of contents in a bucket: STANDARD_IA, …")},
                            {"encryption", choice_schema(config_keys::encryption, "by the store, of new objects")},
                            {"kms_key", text_schema("that `encryption: aws:kms` is done with")},
                            {"site", text_schema("where it stands: copies at one site are lost together")},
                            {"medium", text_schema("disk, object store, tape …")},
                            {"offsite", {{"type", "boolean"}, {"description", "away from what it protects"}}},
                            {"replica_of", text_schema("the repository whose snapshots it holds too")},
                            {"follow", {{"type", "boolean"}, {"description", "`serve` keeps it up to date"}}},
                            {"max_lag", text_schema("of a copy that is followed: it lacks nothing that is older")},
                            {"unlock", unlock}}},
                          {"required", {"url"}},
                          {"additionalProperties", false}};
    const auto map_of = [&](const Json& value) {
        return Json{{"type", "object"}, {"propertyNames", name}, {"additionalProperties", value}};
    };
    const Json environment{{"type", "object"},
                           {"description", "where each source is restored to by `restore --to NAME`"},
                           {"additionalProperties", {{"type", "string"}}}};
    const Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                      {"title", "holdfast configuration"},
                      {"type", "object"},
                      {"properties",
                       {{"version", {{"const", 1}}},
                        {"repositories", map_of(repository)},
                        {"sources", map_of({{"oneOf", kinds}})},
                        {"environments", map_of(environment)},
                        {"retention", map_of(retention_schema())},
                        {"jobs", map_of(job_schema())},
                        {"service", service_schema()}}},
                      {"required", {"version"}},
                      {"additionalProperties", false}};
    return schema.dump(2);
}

}  // namespace holdfast::app
