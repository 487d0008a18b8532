// stores/s3/s3_store.h: a store in a bucket that speaks S3.
//
// Shape    objects below a prefix; create() is a PUT with If-None-Match, one request an object
// Errors   as store.h; no_repository for a bucket that is not there. A page in the middle of a listing is asked for again by
//          this store itself: a long listing would rarely come through from its beginning
// Threads  as store.h
// I1  probe_conditional_writes() finds out by trying whether the bucket keeps that promise
// Source   doc/format/store.md; review.md B5
#pragma once

#include <memory>

#include "store/backoff.h"
#include "store/examine.h"
#include "store/store.h"
#include "store/versions.h"

namespace holdfast::s3 {
class S3Client;
}

namespace holdfast {

class S3Store final : public Store, public Versions {
public:
    // `data_class`: storage class of packs of contents; what is read at every opening is always STANDARD.
    S3Store(World& world, std::unique_ptr<s3::S3Client> client, std::string prefix, std::string data_class,
            RetryBudget budget = {});
    ~S3Store() override;

    std::string url() const override;
    const StoreTraits& traits() const override { return traits_; }
    Created create(std::string_view name, ByteView bytes) override;
    std::optional<Bytes> read(std::string_view name) override;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;
    std::optional<ObjectInfo> find(std::string_view name) override;
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override;
    void remove(std::string_view name) override;
    std::optional<Nanoseconds> clock_ahead() const override;
    std::optional<double> connection_speed() const override;
    bool list_versions(const std::function<void(const ObjectVersion&)>& each) override;
    std::optional<Bytes> read_version(const ObjectVersion& version) override;

    // Creates one object twice. False: the second time succeeded, so that one writer may undo another.
    bool probe_conditional_writes(Random& random);

    Observations examine(const ExaminePlan& plan);

private:
    std::string key_of(std::string_view name) const;
    template <class Page, class Each>
    void for_each_page(std::string_view prefix, const Page& page, const Each& each);

    World& world_;
    const std::unique_ptr<s3::S3Client> client_;
    const std::string prefix_;  // empty, or with '/' at its end
    const std::string data_class_;
    const RetryBudget budget_;
    StoreTraits traits_;
};

// From "s3://BUCKET/PREFIX" and what the environment and the shared configuration say; with a profile, only what that says.
struct S3Settings {
    std::string url;
    std::string endpoint;  // these, when not empty, come before the environment
    std::string region;
    std::string storage_class = {};  // of packs of contents
    std::string encryption = {};     // by the store: "AES256", "aws:kms"
    std::string kms_key = {};
    std::string profile = {};
    std::string addressing =
        {};                   // "host": https://bucket.endpoint/key, "path"; empty: "path" where an endpoint is given
    RetryBudget budget = {};  // of each page of a listing
};
std::unique_ptr<S3Store> open_s3_store(const S3Settings& settings, World& world);

}  // namespace holdfast
