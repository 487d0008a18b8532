// A bucket keeps the promises of store/store.h: on a real S3 server.
#include "stores/s3/s3_store.h"
#include "conformance/store_suite.h"
#include "testing/minio_server.h"

namespace holdfast {

namespace {

World& world() {
    static Stop stop;
    static World out{system_clock(), system_random(), stop, stderr_log(Level::error)};
    return out;
}

const testing::MinioServer& server() {
    static const testing::MinioServer one;
    return one;
}

StoreOpener bucket_place() {
    static std::atomic<int> places{0};
    const std::string url = fmt::format("s3://{}/place-{}", server().bucket(), ++places);
    return
        [url] { return open_s3_store({.url = url, .endpoint = server().endpoint(), .region = "us-east-1"}, world()); };
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(S3, StoreSuite, ::testing::Values(StoreKind{"minio", bucket_place}), kind_name);

TEST(S3Bucket, keeps_conditional_writes) {
    const auto store =
        open_s3_store({.url = "s3://tests/probed", .endpoint = server().endpoint(), .region = ""}, world());
    EXPECT_TRUE(store->probe_conditional_writes(world().random));
    std::size_t left = 0;
    store->list("", [&](const ObjectInfo&) { ++left; });
    EXPECT_EQ(left, 0U) << "the probe leaves nothing behind";
}

TEST(S3Bucket, passes_over_what_others_put_there) {
    const auto all = open_s3_store({.url = "s3://tests", .endpoint = server().endpoint(), .region = ""}, world());
    const auto one =
        open_s3_store({.url = "s3://tests/shared", .endpoint = server().endpoint(), .region = ""}, world());
    all->create("sharedness/other", as_bytes("x"));
    all->create("shared/data/mine", as_bytes("x"));
    std::vector<std::string> names;
    one->list("", [&](const ObjectInfo& info) { names.push_back(info.name); });
    EXPECT_EQ(names, std::vector<std::string>{"data/mine"});
}

TEST(S3Bucket, refuses_bytes_that_are_not_what_their_name_says) {
    const auto store =
        open_s3_store({.url = "s3://tests/named", .endpoint = server().endpoint(), .region = ""}, world());
    Bytes pack = pattern(100'000, 1);
    const std::string name = name_of("data", pack);
    pack[50'000] ^= 1;
    try {
        store->create(name, pack);
        ADD_FAILURE() << "took a pack that had changed since it was named";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::corrupt) << error.message();
    }
    EXPECT_FALSE(store->find(name));
    pack[50'000] ^= 1;
    EXPECT_EQ(store->create(name, pack), Created::created);
}

}  // namespace holdfast
