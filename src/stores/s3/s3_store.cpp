#include "stores/s3/s3_store.h"

#include <fmt/format.h>

#include "base/error.h"
#include "clients/s3/client.h"

namespace holdfast {

S3Store::S3Store(std::unique_ptr<s3::S3Client> client, std::string prefix, std::string data_class)
    : client_(std::move(client)),
      prefix_(prefix.empty() || prefix.ends_with('/') ? prefix : prefix + "/"),
      data_class_(std::move(data_class)) {
    traits_.has_clock = true;
    traits_.is_remote = true;
}

S3Store::~S3Store() = default;

std::string S3Store::url() const {
    std::string out = fmt::format("s3://{}/{}", client_->place().bucket, prefix_);
    while (out.ends_with('/')) out.pop_back();
    return out;
}

std::string S3Store::key_of(std::string_view name) const {
    check_object_name(name);
    return prefix_ + std::string(name);
}

Created S3Store::create(std::string_view name, ByteView bytes) {
    const auto put = client_->put(key_of(name), bytes,
                                  {.if_absent = true, .storage_class = name.starts_with("data/") ? data_class_ : ""});
    return put == s3::S3Client::Put::created ? Created::created : Created::exists;
}

std::optional<Bytes> S3Store::read(std::string_view name) { return client_->get(key_of(name)); }

std::optional<Bytes> S3Store::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    return client_->get_range(key_of(name), offset, bytes);
}

std::optional<ObjectInfo> S3Store::find(std::string_view name) {
    const auto head = client_->head(key_of(name));
    if (!head) return std::nullopt;
    return ObjectInfo{std::string(name), head->bytes, head->time};
}

// A bucket may hold others' objects, also below the prefix: what is no name of ours is passed over.
void S3Store::list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) {
    if (!is_object_name(prefix) && !is_object_name(std::string(prefix) + "x")) return;  // no name of ours begins so
    client_->list(prefix_ + std::string(prefix), [&](const s3::ObjectHead& head) {
        if (!head.key.starts_with(prefix_)) return;
        const std::string name = head.key.substr(prefix_.size());
        if (is_object_name(name)) each({name, head.bytes, head.time});
    });
}

void S3Store::remove(std::string_view name) { client_->remove(key_of(name)); }

bool S3Store::probe_conditional_writes(Random& random) {
    const std::string name = "probe/" + to_hex(random.array<8>());
    const std::string key = key_of(name);
    client_->put(key, as_bytes("first"), {.if_absent = true});
    const bool keeps = client_->put(key, as_bytes("second"), {.if_absent = true}) == s3::S3Client::Put::exists;
    client_->remove(key);
    traits_.create_if_absent = keeps;
    return keeps;
}

std::unique_ptr<S3Store> open_s3_store(const S3Settings& settings, World& world) {
    const std::string_view rest = std::string_view(settings.url).substr(settings.url.find("://") + 3);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string bucket(rest.substr(0, slash));
    std::string prefix(rest.substr(std::min(slash + 1, rest.size())));
    while (prefix.ends_with('/')) prefix.pop_back();
    if (bucket.empty())
        throw Error{Code::usage, "{} names no bucket", settings.url}.hint("Write `s3://BUCKET/PREFIX`.");

    const s3::Surroundings surroundings = s3::real_surroundings();
    const auto first_of = [&](const std::string& given, std::initializer_list<const char*> variables,
                              const std::string& profile_key) -> std::string {
        if (!given.empty()) return given;
        for (const char* name : variables)
            if (const auto value = surroundings.variable(name)) return *value;
        return s3::profile_value(surroundings, profile_key).value_or("");
    };
    s3::Place place;
    place.bucket = bucket;
    place.region = first_of(settings.region, {"AWS_REGION", "AWS_DEFAULT_REGION"}, "region");
    if (place.region.empty()) place.region = "us-east-1";
    place.endpoint = first_of(settings.endpoint, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, "endpoint_url");
    place.path_style = !place.endpoint.empty() || bucket.find('.') != std::string::npos;
    if (place.endpoint.empty()) place.endpoint = fmt::format("https://s3.{}.amazonaws.com", place.region);
    while (place.endpoint.ends_with('/')) place.endpoint.pop_back();
    place.ca_file = surroundings.variable("AWS_CA_BUNDLE").value_or("");
    place.encryption = settings.encryption;
    place.kms_key = settings.kms_key;
    auto credentials = std::make_unique<s3::CredentialChain>(world, surroundings, place.region);
    return std::make_unique<S3Store>(std::make_unique<s3::S3Client>(world, place, std::move(credentials)), prefix,
                                     settings.storage_class);
}

}  // namespace holdfast
