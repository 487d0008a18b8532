#include "stores/s3/s3_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "clients/s3/client.h"
#include "clients/s3/xml.h"
#include "store/read_many.h"

namespace holdfast {

namespace {

constexpr std::size_t probes_at_once = 4;

// Packs and fragments of the index are named by their bytes (doc/format/README.md); nothing: `name` is another's. The store
// compares it with what arrives, so bytes that changed since they were named are refused.
std::optional<s3::Sha256> sha256_in(std::string_view name) {
    constexpr std::array<std::string_view, 4> prefixes{"data/", "meta/", "state/", "index/"};
    const auto prefix = std::ranges::find_if(prefixes, [&](std::string_view each) { return name.starts_with(each); });
    if (prefix == prefixes.end()) return std::nullopt;
    s3::Sha256 out{};
    const auto bytes = from_hex(name.substr(prefix->size()));
    if (!bytes || bytes->size() != out.size()) return std::nullopt;
    std::ranges::copy(*bytes, out.begin());
    return out;
}

}  // namespace

S3Store::S3Store(World& world, std::unique_ptr<s3::S3Client> client, std::string prefix, std::string data_class,
                 RetryBudget budget)
    : world_(world),
      client_(std::move(client)),
      prefix_(prefix.empty() || prefix.ends_with('/') ? prefix : prefix + "/"),
      data_class_(std::move(data_class)),
      budget_(budget) {
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
    const auto put = client_->put(
        key_of(name), bytes,
        {.if_absent = true, .storage_class = name.starts_with("data/") ? data_class_ : "", .sha256 = sha256_in(name)});
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

template <class Page, class Each>
void S3Store::for_each_page(std::string_view prefix, const Page& page, const Each& each) {
    s3::Pairs from;
    const auto page_or_throw = [&] {
        Backoff backoff(world_, budget_);
        while (true) {
            try {
                return page(from);
            } catch (Error& error) {
                if (from.empty()) throw;  // whoever asked may begin again
                backoff.wait_or_throw(error, "listing", prefix, true);
            }
        }
    };
    do {
        for (const auto& found : page_or_throw()) each(found);
    } while (!from.empty());
}

// A bucket may hold others' objects, also below the prefix: what is no name of ours is passed over.
void S3Store::list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) {
    if (!is_object_name(prefix) && !is_object_name(std::string(prefix) + "x")) return;  // no name of ours begins so
    const std::string keys = prefix_ + std::string(prefix);
    for_each_page(
        keys, [&](s3::Pairs& from) { return client_->list_page(keys, from); },
        [&](const s3::ObjectHead& head) {
            if (!head.key.starts_with(prefix_)) return;
            const std::string name = head.key.substr(prefix_.size());
            if (is_object_name(name)) each({name, head.bytes, head.time});
        });
}

std::optional<Nanoseconds> S3Store::clock_ahead() const { return client_->clock_ahead(); }
std::optional<double> S3Store::connection_speed() const { return client_->connection_speed(); }

bool S3Store::list_versions(const std::function<void(const ObjectVersion&)>& each) {
    if (client_->place().is_google)
        throw Error{Code::failed, "Google Cloud Storage is not asked for versions (generations)"};
    const auto setting = client_->bucket_setting("versioning", "s3:GetBucketVersioning");
    if (!setting || !s3::xml_text(*setting, "Status")) return false;
    for_each_page(
        prefix_, [&](s3::Pairs& from) { return client_->list_versions_page(prefix_, from); },
        [&](const s3::S3Client::ObjectVersion& object) {
            if (!object.head.key.starts_with(prefix_)) return;
            std::string name = object.head.key.substr(prefix_.size());
            if (is_object_name(name))
                each({std::move(name), object.version, object.etag, object.head.bytes, object.head.time});
        });
    return true;
}

std::optional<Bytes> S3Store::read_version(const ObjectVersion& version) {
    return client_->get_version(key_of(version.name), version.version);
}

void S3Store::remove(std::string_view name) { client_->remove(key_of(name)); }

// One after the other, then many at once: a store may look first and write then.
bool S3Store::probe_conditional_writes(Random& random) {
    const auto name = [&] { return "probe/" + to_hex(random.array<8>()); };
    const auto text = [](std::size_t number) { return fmt::format("probe {}", number); };
    const auto creates = [&](const std::string& probe, std::size_t number) {
        return client_->put(key_of(probe), as_bytes(text(number)), {.if_absent = true}) == s3::S3Client::Put::created;
    };
    const auto holds = [&](const std::string& probe, std::size_t number) {
        const auto there = client_->get(key_of(probe));
        return there && as_text(*there) == text(number);
    };
    const std::string in_turn = name(), at_once = name();
    if (!creates(in_turn, 0) && !holds(in_turn, 0))
        throw Error{Code::failed, "{} says that {} exists, which nobody has written", url(), in_turn}.hint(
            "It does not keep create-if-absent (If-None-Match): no repository is safe in it.");
    bool keeps = !creates(in_turn, 1) && holds(in_turn, 0);
    client_->remove(key_of(in_turn));
    if (keeps) {
        std::mutex mutex;
        std::vector<std::size_t> created;
        for_each_number(*this, probes_at_once, [&](std::size_t number) {
            try {
                if (!creates(at_once, number)) return;
                const std::lock_guard lock(mutex);
                created.push_back(number);
            } catch (const Error& error) {
                if (error.code() != Code::unreachable) throw;  // it may say that several write at once
            }
        });
        keeps = created.empty() || (created.size() == 1 && holds(at_once, created.front()));
        client_->remove(key_of(at_once));
    }
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

    s3::Surroundings surroundings = s3::real_surroundings();
    surroundings.profile = settings.profile;
    const auto first_of = [&](const std::string& given, std::initializer_list<const char*> variables,
                              const std::string& profile_key) -> std::string {
        if (!given.empty()) return given;
        if (settings.profile.empty())
            for (const char* name : variables)
                if (const auto value = surroundings.variable(name)) return *value;
        return s3::profile_value(surroundings, profile_key).value_or("");
    };
    s3::Place place;
    place.bucket = bucket;
    place.region = first_of(settings.region, {"AWS_REGION", "AWS_DEFAULT_REGION"}, "region");
    if (place.region.empty()) place.region = "us-east-1";
    place.endpoint = first_of(settings.endpoint, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, "endpoint_url");
    const std::string addressing = first_of(settings.addressing, {"HOLDFAST_S3_ADDRESSING"}, "");
    if (!addressing.empty() && addressing != "host" && addressing != "path")
        throw Error{Code::config, "buckets are not addressed by \"{}\"", addressing}.hint(
            "It is `host` (https://BUCKET.ENDPOINT/…) or `path` (https://ENDPOINT/BUCKET/…).");
    place.path_style =
        addressing.empty() ? !place.endpoint.empty() || bucket.find('.') != std::string::npos : addressing == "path";
    if (place.endpoint.empty()) place.endpoint = s3::amazons("s3", place.region);
    while (place.endpoint.ends_with('/')) place.endpoint.pop_back();
    place.ca_file = first_of("", {"AWS_CA_BUNDLE"}, "ca_bundle");
    place.allows_tls_1_2 = s3::allows_tls_1_2(surroundings);
    const std::string kind = surroundings.variable("HOLDFAST_S3_KIND").value_or("");
    const std::size_t host_end =
        std::min(place.endpoint.find_first_of(":/", place.endpoint.find("://") + 3), place.endpoint.size());
    place.is_google =
        kind == "google" || (kind.empty() && place.endpoint.substr(0, host_end).ends_with(".googleapis.com"));
    if (place.is_google && !settings.encryption.empty())
        throw Error{Code::config, "`encryption: {}` is Amazon's", settings.encryption}.hint(
            "Of a bucket of Google Cloud Storage the key is set at the bucket.");
    place.encryption = settings.encryption;
    place.kms_key = settings.kms_key;
    auto credentials = std::make_unique<s3::CredentialChain>(world, surroundings, place.region);
    return std::make_unique<S3Store>(world, std::make_unique<s3::S3Client>(world, place, std::move(credentials)),
                                     prefix, settings.storage_class, settings.budget);
}

}  // namespace holdfast
