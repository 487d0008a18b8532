#include "clients/s3/sigv4.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace holdfast::s3 {
namespace {

// The examples of the documentation, all of one bucket, key and instant.
const Credentials example{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", 0};
constexpr Nanoseconds instant = 1369353600 * one_second;  // 2013-05-24T00:00:00Z
const std::string empty_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string signature_of(SignedRequest request) {
    request.host = "examplebucket.s3.amazonaws.com";
    if (request.payload_hash.empty()) request.payload_hash = empty_hash;
    const Pairs headers = sign(request, example, "us-east-1", "s3", instant);
    const std::string& authorization = headers.back().second;
    return authorization.substr(authorization.rfind('=') + 1);
}

TEST(SigV4, says_times_as_aws_does) { EXPECT_EQ(amz_date(instant), "20130524T000000Z"); }

TEST(SigV4, get_object) {
    EXPECT_EQ(signature_of({.path = "/test.txt", .headers = {{"range", "bytes=0-9"}}, .payload_hash = ""}),
              "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, put_object_with_a_key_that_has_to_be_encoded) {
    EXPECT_EQ(signature_of({.method = "PUT",
                            .path = "/test$file.text",
                            .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                        {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                            .payload_hash = hash_hex(as_bytes("Welcome to Amazon S3."))}),
              "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, a_query_without_a_value) {
    EXPECT_EQ(signature_of({.query = {{"lifecycle", ""}}, .payload_hash = ""}),
              "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SigV4, a_query_is_sorted) {
    EXPECT_EQ(signature_of({.query = {{"prefix", "J"}, {"max-keys", "2"}}, .payload_hash = ""}),
              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, encodes_once_and_keeps_slashes_in_paths_only) {
    EXPECT_EQ(encode_path("/a b/=+%/ü"), "/a%20b/%3D%2B%25/%C3%BC");
    EXPECT_EQ(encode_query({{"b", "x/y"}, {"a", "=+"}}), "a=%3D%2B&b=x%2Fy");
}

TEST(SigV4, temporary_credentials_bring_their_token) {
    Credentials temporary = example;
    temporary.session_token = "token";
    const Pairs headers = sign({.host = "h", .payload_hash = empty_hash}, temporary, "eu-west-1", "s3", instant);
    EXPECT_TRUE(std::ranges::find(headers, std::pair<std::string, std::string>("x-amz-security-token", "token")) !=
                headers.end());
    EXPECT_NE(headers.back().second.find("x-amz-security-token"), std::string::npos) << "it is signed";
}

}  // namespace
}  // namespace holdfast::s3
