#include "clients/s3/client.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "clients/s3/xml.h"
#include "crypto/crypto.h"
#include "net/http.h"

namespace holdfast::s3 {

namespace {

constexpr std::size_t object_bytes_max = std::size_t{1} << 30;
constexpr std::size_t page_bytes_max = 16 * 1024 * 1024;
constexpr std::size_t range_slack = 64 * 1024;  // a store may answer with the whole of a small object
constexpr Nanoseconds timeout_least = 60 * one_second;
constexpr Nanoseconds timeout_each_mib = 4 * one_second;  // 256 KiB a second at the least
constexpr Nanoseconds silence_max = 60 * one_second;
constexpr int renewals_max = 3;
constexpr int same_damage_max = 5;

std::string base64_of(const crypto::Digest& digest) { return to_base64(digest); }

bool is_busy(int status, std::string_view code) {
    return status == 503 || status == 429 || code == "SlowDown" || code == "RequestLimitExceeded";
}

std::string error_code(const net::HttpResponse& response) {
    if (response.status < 300) return "";
    return xml_text(as_text(response.body), "Code").value_or("");
}

// A store that has forgotten a session says so, or that it never knew it.
bool says_expired(const net::HttpResponse& response, const Credentials& used) {
    const std::string code = error_code(response);
    if (code == "ExpiredToken" || code == "ExpiredTokenException" || code == "TokenRefreshRequired") return true;
    return !used.session_token.empty() &&
           (code == "InvalidAccessKeyId" || code == "InvalidTokenId" || code == "InvalidToken");
}

// The store heard something else than was sent, or not all of it.
bool says_damaged(std::string_view code) {
    return code == "XAmzContentChecksumMismatch" || code == "XAmzContentSHA256Mismatch" || code == "BadDigest" ||
           code == "IncompleteBody" || code == "InvalidDigest";
}

std::uint64_t number_of(const std::string& text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// "Wed, 12 Oct 2009 17:50:00 GMT"
Nanoseconds http_time(const std::string& text) {
    std::tm parts{};
    if (::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) return 0;
    return static_cast<Nanoseconds>(::timegm(&parts)) * one_second;
}

std::string header(const net::HttpResponse& response, const std::string& name) {
    const auto at = response.headers.find(name);
    return at == response.headers.end() ? "" : at->second;
}

// Of an element of a listing.
ObjectHead head_of(std::string_view object) {
    return {xml_text(object, "Key").value_or(""), number_of(xml_text(object, "Size").value_or("")),
            parse_time(xml_text(object, "LastModified").value_or(""), 0).value_or(0)};
}

bool is_web_page(const net::HttpResponse& response) {
    return header(response, "content-type").find("html") != std::string::npos;
}

}  // namespace

S3Client::S3Client(World& world, Place place, std::unique_ptr<CredentialChain> credentials)
    : world_(world), place_(std::move(place)), credentials_(std::move(credentials)) {
    const std::size_t scheme = place_.endpoint.find("://");
    if (scheme == std::string::npos)
        throw Error{Code::config, "`{}` is no endpoint of S3", place_.endpoint}.hint(
            "It looks like `https://s3.eu-west-1.amazonaws.com` or `http://127.0.0.1:9000`.");
    const std::string authority =
        place_.endpoint.substr(scheme + 3, place_.endpoint.find('/', scheme + 3) - scheme - 3);
    host_ = place_.path_style ? authority : place_.bucket + "." + authority;
    base_url_ = place_.endpoint.substr(0, scheme + 3) + host_;
}

S3Client::~S3Client() = default;

std::unique_ptr<net::HttpClient> S3Client::borrow() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<net::HttpClient>(world_);
    auto out = std::move(idle_.back());
    idle_.pop_back();
    return out;
}

void S3Client::give_back(std::unique_ptr<net::HttpClient> client) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(client));
}

net::HttpResponse S3Client::send_once(const Call& call, const Credentials& credentials, Admission::Pass& pass) {
    SignedRequest signature;
    signature.method = call.method;
    signature.host = host_;
    signature.path = "/" + (place_.path_style ? place_.bucket + (call.key.empty() ? "" : "/") : "") + call.key;
    signature.query = call.query;
    signature.headers = call.headers;
    signature.payload_hash = call.sha256 ? to_hex(*call.sha256) : hash_hex(call.body.value_or(ByteView{}));
    if (place_.is_google) signature.dialect = google_dialect;

    net::HttpRequest request;
    request.method = call.method;
    request.url = base_url_ + encode_path(signature.path);
    if (!call.query.empty()) request.url += "?" + encode_query(call.query);
    request.headers = call.headers;
    const std::string service = place_.is_google ? "storage" : "s3";
    for (auto& pair : sign(signature, credentials, place_.region, service, world_.clock.now()))
        request.headers.push_back(std::move(pair));
    request.body = call.body;
    request.ca_file = place_.ca_file;
    if (place_.allows_tls_1_2) request.tls_min = net::Tls::v1_2;
    request.body_bytes_max = call.answer_bytes_max;
    const std::size_t travels = std::max(call.body ? call.body->size() : 0,
                                         call.answer_bytes_max < object_bytes_max ? call.answer_bytes_max : 0);
    request.timeout = timeout_least + static_cast<Nanoseconds>(travels >> 20) * timeout_each_mib;
    if (call.answer_bytes_max == object_bytes_max) request.timeout = 3600 * one_second;
    request.silence_max = silence_max;

    auto client = borrow();
    net::HttpResponse response = client->send(request);  // a connection that failed is not given back
    give_back(std::move(client));
    if (const Nanoseconds there = http_time(header(response, "date")); there != 0) {
        const std::lock_guard lock(mutex_);
        clock_ahead_ = there - world_.clock.now();
    }
    if (is_busy(response.status, error_code(response)))
        pass.slow_down();
    else if (response.status < 500)
        pass.succeeded();
    return response;
}

net::HttpResponse S3Client::send(const Call& call) {
    Admission::Pass pass(admission_);
    Credentials credentials = credentials_->get();
    net::HttpResponse response = send_once(call, credentials, pass);
    for (int i = 0; i < renewals_max && says_expired(response, credentials); ++i) {
        credentials_->renew(credentials.access_key);
        Credentials renewed = credentials_->get();
        if (renewed.access_key == credentials.access_key && renewed.session_token == credentials.session_token) break;
        credentials = std::move(renewed);
        response = send_once(call, credentials, pass);
    }
    if (is_web_page(response) && response.status < 500 && response.status != 429)
        throw Error{Code::unreachable, "{} of {}: {} answers with a web page, not as S3 does", call.action,
                    call.key.empty() ? place_.bucket : call.key, place_.endpoint}
            .hint("Is it the endpoint of S3, or of its console? Or is a proxy or a sign-in page in between?");
    return response;
}

// What an answer that is neither success nor expected means, and what to do about it.
void S3Client::fail(const Call& call, const net::HttpResponse& response) const {
    const std::string_view body = as_text(response.body);
    const std::string code = error_code(response);
    const std::string told = xml_text(body, "Message").value_or("");
    const std::string what = fmt::format("{} of {}", call.action, call.key.empty() ? place_.bucket : call.key);
    const auto error = [&](Code kind, const std::string& why) {
        return Error{kind, "{}: {}{}", what, why, told.empty() ? "" : fmt::format(" ({})", printable(told))};
    };
    if (code == "NoSuchBucket")
        throw Error{Code::no_repository, "there is no bucket {} at {}", place_.bucket, place_.endpoint}.hint(
            "Check its name, the endpoint (AWS_ENDPOINT_URL) and the region.");
    const std::string region = xml_text(body, "Region").value_or(header(response, "x-amz-bucket-region"));
    if (code == "AuthorizationHeaderMalformed" || response.status == 301 || response.status == 307)
        throw Error{Code::config, "the bucket {} is not in region {}", place_.bucket, place_.region}.hint(
            region.empty()
                ? "Set AWS_REGION, or `region:` in the configuration."
                : fmt::format("It is in {0}: set AWS_REGION={0}, or `region:` in the configuration.", region));
    if (code == "RequestTimeTooSkewed")
        throw error(Code::denied, "the clocks of this machine and of the store differ too much")
            .hint("Set this machine's clock (NTP); requests are signed with its time.");
    if (code == "SignatureDoesNotMatch" || code == "InvalidAccessKeyId" || code == "InvalidToken")
        throw error(Code::denied, code == "InvalidAccessKeyId" ? "the store does not know this access key"
                                                               : "the secret key is wrong")
            .hint("Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
    if (code.starts_with("KMS."))
        throw error(Code::denied, fmt::format("the key service refuses: {}", code))
            .hint("Check `kms_key:` and whether this account may use it (kms:GenerateDataKey, kms:Decrypt).");
    if (code == "InvalidStorageClass")
        throw error(Code::config, "the store does not know that storage class").hint("See `storage_class:`.");
    if (code == "ExpiredToken") throw error(Code::denied, "the credentials have expired");
    if (response.status == 507 || code == "QuotaExceeded" || code == "XMinioAdminBucketQuotaExceeded" ||
        code == "XMinioStorageFull" || code == "InsufficientCapacity")
        throw error(Code::no_space, "the store has no room");
    if (code == "InvalidObjectState")
        throw error(Code::failed, "the object lies in an archive")
            .hint("Bring it back first (s3:RestoreObject). Packs of contents only may be in such a class.");
    if (response.status == 401 || response.status == 403)
        throw error(Code::denied, "the store denies it")
            .hint(fmt::format("The policy of this key lacks {} on {}.", call.action, place_.bucket));
    if (says_damaged(code)) throw error(Code::unreachable, "what arrived at the store was damaged on the way");
    if (response.status == 408 || response.status == 409 || response.status >= 500 || is_busy(response.status, code) ||
        code == "RequestTimeout")
        throw error(Code::unreachable, code.empty() ? fmt::format("status {}", response.status) : code);
    if (response.status == 404 || (code.empty() && !body.empty()))
        throw Error{Code::unreachable, "{}: {} answers with status {}, not as S3 does", what, place_.endpoint,
                    response.status}
            .hint("Is it the endpoint of S3, or of its console?");
    throw error(Code::failed, code.empty() ? fmt::format("status {}", response.status) : code);
}

S3Client::Put S3Client::put(const std::string& key, ByteView bytes, const PutOptions& options) {
    const Sha256 sha256 = options.sha256 ? *options.sha256 : crypto::sha256(bytes);
    Call call{.method = "PUT", .key = key, .body = bytes, .sha256 = sha256, .action = "s3:PutObject"};
    call.headers.emplace_back("content-type", "application/octet-stream");
    if (!place_.is_google) call.headers.emplace_back("x-amz-checksum-sha256", base64_of(sha256));
    if (options.if_absent && place_.is_google)
        call.headers.emplace_back("x-goog-if-generation-match", "0");
    else if (options.if_absent)
        call.headers.emplace_back("if-none-match", "*");
    if (!options.storage_class.empty())
        call.headers.emplace_back(place_.is_google ? "x-goog-storage-class" : "x-amz-storage-class",
                                  options.storage_class);
    if (!place_.encryption.empty()) call.headers.emplace_back("x-amz-server-side-encryption", place_.encryption);
    if (!place_.kms_key.empty())
        call.headers.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", place_.kms_key);
    const net::HttpResponse response = send(call);
    if (response.status == 200 || response.status == 204) return Put::created;
    if (response.status == 412 && options.if_absent && response.was_resent)  // it may be our own
        throw Error{Code::unreachable, "whether {} was created is not known: the connection broke", key};
    if (response.status == 412 && options.if_absent) return Put::exists;
    if (says_damaged(error_code(response)) && crypto::sha256(bytes) != sha256)
        throw Error{Code::corrupt, "{}: its bytes changed in this machine's memory after they were named", key}
            .unharmed("the store refused them, nothing was written")
            .hint("Test the memory of this machine before it writes backups.");
    fail(call, response);
}

// A 404 of somebody in between says nothing about the object. A HEAD's has no body, but the mark that stores put on all
// their answers.
bool S3Client::is_absent(const Call& call, const net::HttpResponse& response) const {
    if (response.status != 404) return false;
    if (call.method == "HEAD")
        return response.headers.contains("x-amz-request-id") || response.headers.contains("x-guploader-uploadid");
    const std::string code = error_code(response);
    return code == "NoSuchKey" || code == "NoSuchVersion";
}

void S3Client::fail_damaged(const std::string& key, const std::string& hash) {
    const std::lock_guard lock(mutex_);
    Damaged& before = damaged_[key];
    before = {hash, before.hash == hash ? before.times + 1 : 1};
    if (before.times >= same_damage_max)
        throw Error{Code::corrupt, "{} is damaged in the store: its bytes do not have the checksum that it keeps", key};
    throw Error{Code::unreachable, "{} was damaged on the way from the store", key};
}

std::optional<Bytes> S3Client::get(const std::string& key) {
    Call call{.method = "GET", .key = key, .answer_bytes_max = object_bytes_max, .action = "s3:GetObject"};
    if (!place_.is_google) call.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
    net::HttpResponse response = send(call);
    if (is_absent(call, response)) return std::nullopt;
    if (response.status != 200) fail(call, response);
    const std::string checksum = header(response, "x-amz-checksum-sha256");
    if (checksum.size() == 44)
        if (const std::string hash = base64_of(crypto::sha256(response.body)); hash != checksum)
            fail_damaged(key, hash);
    const std::lock_guard lock(mutex_);
    damaged_.erase(key);
    return std::move(response.body);
}

std::optional<Bytes> S3Client::get_range(const std::string& key, std::uint64_t offset, std::size_t bytes) {
    if (bytes == 0) return head(key) ? std::optional<Bytes>(Bytes{}) : std::nullopt;
    const Call call{.method = "GET",
                    .key = key,
                    .headers = {{"range", fmt::format("bytes={}-{}", offset, offset + bytes - 1)}},
                    .answer_bytes_max = bytes + range_slack,
                    .action = "s3:GetObject"};
    net::HttpResponse response = send(call);
    if (is_absent(call, response)) return std::nullopt;
    if (response.status == 416) return Bytes{};
    if (response.status != 200 && response.status != 206) fail(call, response);
    learn_speed(response);
    if (response.status == 206) {
        // An answer without a length ends where the connection does.
        const std::string said = header(response, "content-range");  // "bytes 0-99/5000"
        const std::size_t dash = said.find('-');
        if (dash != std::string::npos && number_of(said.substr(dash + 1)) + 1 - offset != response.body.size())
            throw Error{Code::unreachable, "{} was cut on the way from the store", key};
        return std::move(response.body);
    }
    const ByteView whole = response.body;  // the store sent all there is
    if (whole.size() <= offset) return Bytes{};
    return to_bytes(whole.subspan(offset, std::min(bytes, whole.size() - offset)));
}

std::optional<ObjectHead> S3Client::head(const std::string& key) {
    const Call call{.method = "HEAD", .key = key, .action = "s3:GetObject"};
    net::HttpResponse response = send(call);
    if (response.status != 200 && !is_absent(call, response)) {
        // Says why, which a HEAD has no body for; where credentials had expired, they are renewed now.
        if (!get_range(key, 0, 1)) return std::nullopt;
        response = send(call);
    }
    if (is_absent(call, response)) return std::nullopt;
    if (response.status != 200) fail(call, response);
    return ObjectHead{key, number_of(header(response, "content-length")), http_time(header(response, "last-modified"))};
}

std::vector<ObjectHead> S3Client::list_page(const std::string& prefix, Pairs& from) {
    const std::string page =
        page_of_listing({{"list-type", "2"}, {"prefix", prefix}}, from, "ListBucketResult", "s3:ListBucket");
    std::vector<ObjectHead> out;
    for (const std::string_view object : xml_elements(page, "Contents")) out.push_back(head_of(object));
    from = after_page(page, from, {{"continuation-token", "NextContinuationToken"}});
    return out;
}

std::vector<S3Client::ObjectVersion> S3Client::list_versions_page(const std::string& prefix, Pairs& from) {
    const std::string page =
        page_of_listing({{"prefix", prefix}, {"versions", ""}}, from, "ListVersionsResult", "s3:ListBucketVersions");
    std::vector<ObjectVersion> out;
    for (const std::string_view object : xml_elements(page, "Version"))
        out.push_back(
            {head_of(object), xml_text(object, "VersionId").value_or(""), xml_text(object, "ETag").value_or("")});
    from = after_page(page, from, {{"key-marker", "NextKeyMarker"}, {"version-id-marker", "NextVersionIdMarker"}});
    return out;
}

std::string S3Client::page_of_listing(Pairs query, const Pairs& from, std::string_view root, std::string_view action) {
    query.insert(query.end(), from.begin(), from.end());
    const Call call{.method = "GET", .query = std::move(query), .answer_bytes_max = page_bytes_max, .action = action};
    const net::HttpResponse response = send(call);
    const std::string_view body = as_text(response.body);
    if (response.status != 200 || body.find(root) == std::string_view::npos) fail(call, response);
    if (body.find(fmt::format("</{}>", root)) == std::string_view::npos) fail_cut_listing();
    return std::string(body);
}

// How to ask for what follows a page; empty: it is the last one.
Pairs S3Client::after_page(const std::string& page, const Pairs& from, const Pairs& markers) const {
    Pairs out;
    if (xml_text(page, "IsTruncated") != "true") return out;
    for (const auto& [name, element] : markers) {
        const std::string value = xml_text(page, element).value_or("");
        if (!value.empty()) out.emplace_back(name, value);
    }
    if (out.empty() || out == from) fail_cut_listing();
    return out;
}

void S3Client::fail_cut_listing() const {
    throw Error{Code::unreachable, "a listing of {} ends too early", place_.bucket};
}

void S3Client::remove(const std::string& key) {
    const Call call{.method = "DELETE", .key = key, .action = "s3:DeleteObject"};
    const net::HttpResponse response = send(call);
    if (response.status != 204 && response.status != 200 && response.status != 404) fail(call, response);
}

std::optional<Bytes> S3Client::get_version(const std::string& key, const std::string& version) {
    const Call call{.method = "GET",
                    .key = key,
                    .query = {{"versionId", version}},
                    .answer_bytes_max = object_bytes_max,
                    .action = "s3:GetObjectVersion"};
    net::HttpResponse response = send(call);
    if (is_absent(call, response)) return std::nullopt;
    if (response.status != 200) fail(call, response);
    return std::move(response.body);
}

std::optional<std::string> S3Client::bucket_setting(const std::string& name, std::string_view action) {
    const Call call{.method = "GET", .query = {{name, ""}}, .action = action};
    const net::HttpResponse response = send(call);
    if (response.status == 200) return std::string(as_text(response.body));
    const std::string code = error_code(response);
    if (response.status == 404 && !code.empty() && code != "NoSuchBucket") return std::nullopt;
    fail(call, response);
}

void S3Client::learn_speed(const net::HttpResponse& answer) {
    if (answer.body.size() < telling_bytes_min) return;
    const double seconds = static_cast<double>(std::max<Nanoseconds>(1, answer.took)) / one_second;
    const double speed = std::min(telling_speed_max, static_cast<double>(answer.body.size()) / seconds);
    const std::lock_guard lock(mutex_);
    speed_ = (3 * speed_.value_or(speed) + speed) / 4;
}

std::optional<double> S3Client::connection_speed() const {
    const std::lock_guard lock(mutex_);
    return speed_;
}

std::optional<Nanoseconds> S3Client::clock_ahead() const {
    const std::lock_guard lock(mutex_);
    return clock_ahead_;
}

}  // namespace holdfast::s3
