#include "clients/mongodb/endpoint.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace holdfast::mongodb {
namespace {

std::string with(const std::string& uri, std::initializer_list<std::pair<std::string, std::string>> parts) {
    Endpoint out = Endpoint::parse(uri);
    for (const auto& [name, value] : parts) out.set(name, value);
    return out.uri();
}

TEST(MongoEndpoint, PartsMakeAUri) {
    EXPECT_EQ(with("mongodb://localhost/", {{"host", "db1"},
                                            {"port", "27018"},
                                            {"user", "back@up"},
                                            {"password", "p:/?#@ %"},
                                            {"auth_source", "admin"},
                                            {"database", "shop"},
                                            {"replicaSet", "rs0"}}),
              "mongodb://back%40up:p%3A%2F%3F%23%40%20%25@db1:27018/shop?authSource=admin&replicaSet=rs0");
    EXPECT_EQ(with("mongodb://a:1,b:2/x", {{"host", "c:3,d:4"}}), "mongodb://c:3,d:4/x");
    EXPECT_EQ(with("mongodb://a:1/", {{"host", "b"}}), "mongodb://b:1/") << "the port stays";
    EXPECT_EQ(with("mongodb://a/", {{"host", "/run/mongodb.sock"}}), "mongodb://%2Frun%2Fmongodb.sock/");
    EXPECT_THROW(with("mongodb://a/", {{"password", "x"}}), Error);
}

TEST(MongoEndpoint, AnAddressOfIpv6KeepsItsColons) {
    EXPECT_EQ(with("mongodb://localhost/", {{"host", "::1"}, {"port", "27018"}}), "mongodb://[::1]:27018/");
    EXPECT_EQ(with("mongodb://localhost/", {{"host", "[fe80::2]"}, {"port", "27018"}}), "mongodb://[fe80::2]:27018/");
    EXPECT_EQ(with("mongodb://[fe80::2]:1/", {{"port", "27018"}}), "mongodb://[fe80::2]:27018/");
    EXPECT_EQ(with("mongodb://a:27018/", {{"host", "fe80::2"}}), "mongodb://[fe80::2]:27018/");
    EXPECT_EQ(Endpoint::parse("mongodb://[FE80::2]/").hosts(), std::vector<std::string>{"[fe80::2]:27017"});
}

TEST(MongoEndpoint, OneOfSeveralServersIsAskedWithoutWhatFindsThem) {
    const Endpoint all = Endpoint::parse(
        "mongodb://u:p@a,b/"
        "shop?replicaSet=rs0&readPreference=secondary&readPreferenceTags=dc:x&maxStalenessSeconds=120&tls=true");
    EXPECT_EQ(all.direct_to("b:27017").uri(), "mongodb://u:p@b:27017/shop?tls=true&directConnection=true");
    EXPECT_EQ(Endpoint::parse("mongodb://a/?loadBalanced=true").direct_to("a:27017").uri(),
              "mongodb://a:27017/?directConnection=true");
    EXPECT_EQ(Endpoint::parse("mongodb+srv://u:p@cluster.example.org/").direct_to("b:27017").uri(),
              "mongodb://u:p@b:27017/?directConnection=true&tls=true&authSource=admin")
        << "what the name implies is said";
}

TEST(MongoEndpoint, ItIsShownWithoutItsPassword) {
    const Endpoint endpoint = Endpoint::parse("mongodb://u:secret@a:1/shop?authSource=admin");
    EXPECT_EQ(endpoint.shown(), "mongodb://u@a:1/shop");
    EXPECT_EQ(endpoint.user(), "u");
    EXPECT_EQ(endpoint.database(), "shop");
    EXPECT_EQ(endpoint.option("authSource"), "admin");
    EXPECT_EQ(endpoint.without_database().uri(), "mongodb://u:secret@a:1/?authSource=admin");
    try {
        Endpoint::parse("mongodb://u:se/cret@a");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::config);
        EXPECT_EQ(error.message().find("cret"), std::string::npos);
    }
}

}  // namespace
}  // namespace holdfast::mongodb
