// clients/s3/sigv4.h: signs requests as AWS Signature Version 4 says, for S3 and STS, or as Google's of the same shape does.
//
// Shape    path and query are given raw and encoded here, once, in the one way that signer and wire share
// Threads  no shared state
// Source   docs.aws.amazon.com, "Signature Calculations for the Authorization Header"; its examples are the tests;
//          cloud.google.com/storage/docs, "V4 signing process with HMAC keys"
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/world.h"

namespace holdfast::s3 {

struct Credentials {
    std::string access_key;
    std::string secret_key;
    std::string session_token;  // of temporary ones
    Nanoseconds expires = 0;    // 0: never
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Whose names the signature and its headers have. Google refuses requests in which both kinds are mixed.
struct Dialect {
    std::string_view scheme = "AWS4";
    std::string_view headers = "x-amz-";
    std::string_view end = "aws4_request";
};
constexpr Dialect google_dialect{"GOOG4", "x-goog-", "goog4_request"};

struct SignedRequest {
    std::string method = "GET";
    std::string host = {};          // as in the Host header
    std::string path = "/";         // raw: "/bucket/a b"
    Pairs query = {};               // raw
    Pairs headers = {};             // further ones, names in lower case
    std::string payload_hash = {};  // hex SHA-256 of the body, or UNSIGNED-PAYLOAD
    Dialect dialect = {};
};

std::string encode_path(std::string_view path);  // keeps '/'
std::string encode_query(const Pairs& query);    // sorted, as it is signed and sent
std::string hash_hex(ByteView bytes);
// "20130524T000000Z"
std::string amz_date(Nanoseconds time);

// The headers to send beside those in `request`: host, x-amz-date, x-amz-content-sha256, authorization, and the token of
// temporary credentials.
Pairs sign(const SignedRequest& request, const Credentials& credentials, const std::string& region,
           const std::string& service, Nanoseconds now);

}  // namespace holdfast::s3
