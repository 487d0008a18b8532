// clients/s3/client.h: objects of one bucket.
//
// Shape    S3Client client(world, place, credentials); client.put("data/…", bytes, {.if_absent = true})
// Errors   denied (naming the action that a policy lacks, or what is wrong with key or clock), unreachable (ask again),
//          no_space, no_repository for a bucket that is not there, config for a wrong region
// Threads  all members from any; each request has a connection of its own, kept for the next one
// I1  what is sent carries its SHA-256, which the store checks; what comes back whole is checked against the store's
// Source   doc/guide/s3.md
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "clients/s3/admission.h"
#include "clients/s3/credentials.h"

namespace holdfast::net {
class HttpClient;
struct HttpResponse;
}  // namespace holdfast::net

namespace holdfast::s3 {

struct Place {
    std::string endpoint;  // "https://s3.eu-west-1.amazonaws.com"
    std::string region = "us-east-1";
    std::string bucket;
    bool path_style = true;  // https://endpoint/bucket/key, else https://bucket.endpoint/key
    std::string ca_file;     // instead of the system's
    bool allows_tls_1_2 = false;
    bool is_google =
        false;  // Google Cloud Storage: its own names for the same things, If-None-Match counts for nothing
    std::string encryption;  // of new objects: "AES256", "aws:kms"; empty: the bucket's
    std::string kms_key;
};

using Sha256 = std::array<std::uint8_t, 32>;

struct ObjectHead {
    std::string key;
    std::uint64_t bytes = 0;
    Nanoseconds time = 0;
};

class S3Client {
public:
    S3Client(World& world, Place place, std::unique_ptr<CredentialChain> credentials);
    ~S3Client();

    enum class Put : std::uint8_t { created, exists };
    struct PutOptions {
        bool if_absent = true;
        std::string storage_class = {};     // empty: STANDARD
        std::optional<Sha256> sha256 = {};  // of the bytes, when it is known; the store finds out when it is wrong
    };
    Put put(const std::string& key, ByteView bytes, const PutOptions& options);
    std::optional<Bytes> get(const std::string& key);
    // Fewer bytes when the object ends earlier.
    std::optional<Bytes> get_range(const std::string& key, std::uint64_t offset, std::size_t bytes);
    std::optional<ObjectHead> head(const std::string& key);
    // One page of a listing. `from` is where it begins, empty at first, and then where the next one does, or empty.
    std::vector<ObjectHead> list_page(const std::string& prefix, Pairs& from);
    void remove(const std::string& key);

    struct ObjectVersion {
        ObjectHead head;
        std::string version;
        std::string etag;
    };
    // Those of one key together, the newest first; marks of removals are left out. `from` as of list_page().
    std::vector<ObjectVersion> list_versions_page(const std::string& prefix, Pairs& from);
    std::optional<Bytes> get_version(const std::string& key, const std::string& version);

    // How the bucket is set, as XML: "versioning", "lifecycle" …; nothing: it is not. `action`: the right to ask.
    std::optional<std::string> bucket_setting(const std::string& name, std::string_view action);
    // The store's clock less ours, when it answered last; to the second.
    std::optional<Nanoseconds> clock_ahead() const;
    // Bytes a second of one connection, of late: of answers to get_range() behind their first byte. What is fast is told
    // as telling_speed_max.
    std::optional<double> connection_speed() const;

    const Place& place() const { return place_; }

private:
    // A shorter answer may have been on its way whole when its first byte came.
    static constexpr std::size_t telling_bytes_min = 256 * 1024;
    static constexpr double telling_speed_max = 32e6;

    struct Call {
        std::string method;
        std::string key = {};
        Pairs query = {};
        Pairs headers = {};
        std::optional<ByteView> body = {};
        std::optional<Sha256> sha256 = {};  // of the body
        std::size_t answer_bytes_max = 1024 * 1024;
        std::string_view action = {};  // "s3:PutObject"
    };
    net::HttpResponse send(const Call& call);
    void learn_speed(const net::HttpResponse& answer);
    net::HttpResponse send_once(const Call& call, const Credentials& credentials, Admission::Pass& pass);
    bool is_absent(const Call& call, const net::HttpResponse& response) const;
    // A body that came with the checksum of other bytes, again and again the same, lies so in the store.
    [[noreturn]] void fail_damaged(const std::string& key, const std::string& hash);
    std::string page_of_listing(Pairs query, const Pairs& from, std::string_view root, std::string_view action);
    Pairs after_page(const std::string& page, const Pairs& from, const Pairs& markers) const;
    [[noreturn]] void fail_cut_listing() const;
    [[noreturn]] void fail(const Call& call, const net::HttpResponse& response) const;
    std::unique_ptr<net::HttpClient> borrow();
    void give_back(std::unique_ptr<net::HttpClient> client);

    World& world_;
    const Place place_;
    std::string host_;
    std::string base_url_;
    std::unique_ptr<CredentialChain> credentials_;
    Admission admission_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::vector<std::unique_ptr<net::HttpClient>> idle_;
    std::optional<Nanoseconds> clock_ahead_;
    std::optional<double> speed_;
    struct Damaged {
        std::string hash;  // of the body that came
        int times = 0;
    };
    std::map<std::string, Damaged> damaged_;  // by key
};

}  // namespace holdfast::s3
