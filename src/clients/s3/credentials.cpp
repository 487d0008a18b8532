#include "clients/s3/credentials.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/stopped.h"
#include "base/text.h"
#include "clients/s3/xml.h"
#include "net/http.h"

namespace holdfast::s3 {

namespace {

constexpr Nanoseconds renew_before = 300 * one_second;
constexpr Nanoseconds metadata_timeout = 2 * one_second;
constexpr Nanoseconds between_tries = 15 * one_second;

std::string trimmed(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return std::string(text);
}

// A value in one section of an INI file.
std::optional<std::string> ini_value(std::string_view text, std::string_view section, std::string_view key) {
    bool inside = false;
    for (const std::string& raw : split(text, '\n')) {
        const std::string line = trimmed(raw);
        if (line.empty() || line[0] == '#' || line[0] == ';') continue;
        if (line[0] == '[') {
            inside = line == fmt::format("[{}]", section);
            continue;
        }
        const std::size_t equals = line.find('=');
        if (inside && equals != std::string::npos && trimmed(line.substr(0, equals)) == key)
            return trimmed(line.substr(equals + 1));
    }
    return std::nullopt;
}

std::string profile_of(const Surroundings& surroundings) {
    if (!surroundings.profile.empty()) return surroundings.profile;
    return surroundings.variable("AWS_PROFILE").value_or("default");
}

std::optional<std::string> shared_file(const Surroundings& surroundings, const std::string& variable,
                                       const std::string& usual) {
    return surroundings.file(surroundings.variable(variable).value_or(surroundings.home + usual));
}

Nanoseconds time_of(const std::string& text) { return parse_time(text, 0).value_or(0); }

net::HttpRequest metadata_request(std::string url) {
    net::HttpRequest request;
    request.url = std::move(url);
    request.timeout = metadata_timeout;
    request.connect_timeout = metadata_timeout;
    request.passes_proxies = false;
    return request;
}

// Whether a service that refuses may give some when it is asked again.
Code code_of(const net::HttpResponse& response) {
    return response.status == 429 || response.status >= 500 ? Code::unreachable : Code::denied;
}

// What a container's or an instance's service answers.
Credentials from_json(ByteView body) {
    const auto json = nlohmann::json::parse(as_text(body), nullptr, false);
    const auto text = [&](const char* key) {
        const auto at = json.find(key);
        return at == json.end() || !at->is_string() ? std::string() : at->get<std::string>();
    };
    if (!json.is_object() || text("AccessKeyId").empty())
        throw Error{Code::unreachable, "the credentials of this machine's role make no sense"};
    return {text("AccessKeyId"), text("SecretAccessKey"), text("Token"), time_of(text("Expiration"))};
}

}  // namespace

Surroundings real_surroundings() {
    return {.variable = [](const std::string& name) -> std::optional<std::string> {
                const char* const value = std::getenv(name.c_str());
                if (value == nullptr || *value == 0) return std::nullopt;
                return value;
            },
            .file = [](const std::string& path) -> std::optional<std::string> {
                const auto bytes = read_file_if_present(path);
                if (!bytes) return std::nullopt;
                return std::string(as_text(*bytes));
            },
            .home = home_folder()};
}

std::optional<std::string> profile_value(const Surroundings& surroundings, const std::string& key) {
    const std::string profile = profile_of(surroundings);
    if (const auto text = shared_file(surroundings, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"))
        if (auto value = ini_value(*text, profile, key)) return value;
    const std::string section = profile == "default" ? profile : "profile " + profile;
    if (const auto text = shared_file(surroundings, "AWS_CONFIG_FILE", "/.aws/config"))
        return ini_value(*text, section, key);
    return std::nullopt;
}

bool allows_tls_1_2(const Surroundings& surroundings) {
    const std::string least = surroundings.variable("HOLDFAST_TLS_MIN").value_or("1.3");
    if (least != "1.2" && least != "1.3")
        throw Error{Code::config, "HOLDFAST_TLS_MIN is `{}`", least}.hint("It is 1.3, which is the default, or 1.2.");
    return least == "1.2";
}

CredentialChain::CredentialChain(World& world, Surroundings surroundings, std::string region)
    : world_(world), surroundings_(std::move(surroundings)), region_(std::move(region)) {}

std::optional<Credentials> CredentialChain::from_environment() const {
    const auto key = surroundings_.variable("AWS_ACCESS_KEY_ID");
    const auto secret = surroundings_.variable("AWS_SECRET_ACCESS_KEY");
    if (!key || !secret) return std::nullopt;
    return Credentials{*key, *secret, surroundings_.variable("AWS_SESSION_TOKEN").value_or(""), 0};
}

std::optional<Credentials> CredentialChain::from_files() const {
    const auto key = profile_value(surroundings_, "aws_access_key_id");
    const auto secret = profile_value(surroundings_, "aws_secret_access_key");
    if (!key || !secret) return std::nullopt;
    return Credentials{*key, *secret, profile_value(surroundings_, "aws_session_token").value_or(""), 0};
}

std::string amazons(std::string_view service, std::string_view region) {
    return fmt::format("https://{}.{}.amazonaws.com{}", service, region, region.starts_with("cn-") ? ".cn" : "");
}

std::optional<Credentials> CredentialChain::from_web_identity() {
    const auto file = surroundings_.variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    const auto role = surroundings_.variable("AWS_ROLE_ARN");
    if (!file || !role) return std::nullopt;
    const auto token = surroundings_.file(*file);
    if (!token) throw Error{Code::denied, "the token of this service account, {}, cannot be read", *file};
    const std::string endpoint = surroundings_.variable("AWS_ENDPOINT_URL_STS").value_or(amazons("sts", region_));
    const std::string form =
        encode_query({{"Action", "AssumeRoleWithWebIdentity"},
                      {"Version", "2011-06-15"},
                      {"RoleArn", *role},
                      {"RoleSessionName", surroundings_.variable("AWS_ROLE_SESSION_NAME").value_or("holdfast")},
                      {"WebIdentityToken", trimmed(*token)}});
    net::HttpRequest request;
    request.method = "POST";
    request.url = endpoint + "/";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = as_bytes(form);
    request.ca_file = surroundings_.variable("AWS_CA_BUNDLE").value_or("");
    if (allows_tls_1_2(surroundings_)) request.tls_min = net::Tls::v1_2;
    const net::HttpResponse response = net::HttpClient(world_).send(request);
    const std::string_view body = as_text(response.body);
    if (response.status != 200)
        throw Error{code_of(response), "{} did not give a session of role {}: {}", endpoint, *role,
                    xml_text(body, "Message").value_or(fmt::format("status {}", response.status))};
    return Credentials{xml_text(body, "AccessKeyId").value_or(""), xml_text(body, "SecretAccessKey").value_or(""),
                       xml_text(body, "SessionToken").value_or(""), time_of(xml_text(body, "Expiration").value_or(""))};
}

std::optional<Credentials> CredentialChain::from_container() {
    const auto relative = surroundings_.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    auto url = surroundings_.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative) url = "http://169.254.170.2" + *relative;
    if (!url) return std::nullopt;
    net::HttpRequest request = metadata_request(*url);
    std::optional<std::string> token = surroundings_.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const auto file = surroundings_.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
        token = surroundings_.file(*file);
    if (token) request.headers.emplace_back("Authorization", trimmed(*token));
    const net::HttpResponse response = net::HttpClient(world_).send(request);
    if (response.status != 200)
        throw Error{code_of(response), "{} gave no credentials: status {}", *url, response.status};
    return from_json(response.body);
}

std::optional<Credentials> CredentialChain::from_instance() {
    if (surroundings_.variable("AWS_EC2_METADATA_DISABLED") == "true") return std::nullopt;
    const std::string base =
        surroundings_.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("http://169.254.169.254");
    net::HttpClient client(world_);
    net::HttpRequest ask = metadata_request(base + "/latest/api/token");
    ask.method = "PUT";
    ask.headers.emplace_back("X-aws-ec2-metadata-token-ttl-seconds", "300");
    net::HttpResponse token;
    try {
        token = client.send(ask);
    } catch (const Error& error) {
        if (error.code() != Code::unreachable || had_instance_) throw;
        return std::nullopt;  // no such machine
    }
    const auto is_there = [&](const net::HttpResponse& response) {
        if (response.status != 200 && (had_instance_ || code_of(response) == Code::unreachable))
            throw Error{Code::unreachable, "{} gave no credentials: status {}", base, response.status};
        return response.status == 200;
    };
    if (!is_there(token)) return std::nullopt;
    const auto read = [&](const std::string& path) {
        net::HttpRequest request = metadata_request(base + "/latest/meta-data/iam/security-credentials/" + path);
        request.headers.emplace_back("X-aws-ec2-metadata-token", std::string(as_text(token.body)));
        return client.send(request);
    };
    const net::HttpResponse role = read("");
    if (!is_there(role)) return std::nullopt;
    const net::HttpResponse credentials = read(trimmed(split(as_text(role.body), '\n').front()));
    if (!is_there(credentials)) return std::nullopt;
    Credentials out = from_json(credentials.body);
    had_instance_ = true;
    return out;
}

std::optional<Credentials> CredentialChain::find() {
    if (!surroundings_.profile.empty()) {
        if (auto out = from_files()) return out;
        throw Error{Code::denied, "the profile {} has no access key", surroundings_.profile}.hint(
            "Write aws_access_key_id and aws_secret_access_key into its section of ~/.aws/credentials.");
    }
    auto out = from_environment();
    if (!out) out = from_web_identity();
    if (!out) out = from_files();
    if (!out) out = from_container();
    if (!out) out = from_instance();
    return out;
}

Credentials CredentialChain::get() {
    const std::lock_guard lock(mutex_);
    const Nanoseconds now = world_.clock.now();
    const auto lasts = [&](Nanoseconds more) {
        return current_ && (current_->expires == 0 || now + more < current_->expires);
    };
    if (lasts(renew_before) || (lasts(0) && world_.clock.steady() < next_try_)) return *current_;
    try {
        auto found = find();
        if (!found)
            throw Error{Code::denied, "there are no credentials for S3"}.hint(
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with ~/.aws/credentials; the role "
                "of a service account, a container or an instance is found by itself.");
        current_ = std::move(found);
    } catch (const Error& error) {
        if (is_stop(error.code()) || !lasts(0)) throw;
        world_.log.warning(fmt::format("credentials that end soon are not renewed yet: {}", error.message()));
        next_try_ = world_.clock.steady() + between_tries;
    }
    return *current_;
}

void CredentialChain::renew(const std::string& access_key) {
    const std::lock_guard lock(mutex_);
    if (current_ && current_->access_key == access_key) current_.reset();
}

}  // namespace holdfast::s3
