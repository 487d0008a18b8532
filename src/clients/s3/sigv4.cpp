#include "clients/s3/sigv4.h"

#include <fmt/format.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "crypto/crypto.h"

namespace holdfast::s3 {

namespace {

std::string encode(std::string_view text, bool keep_slashes) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string out;
    for (const char c : text) {
        if (plain.find(c) != std::string_view::npos || (keep_slashes && c == '/'))
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

Bytes hmac(ByteView key, std::string_view text) {
    Bytes out(32);
    unsigned int length = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), as_bytes(text).data(), text.size(), out.data(),
             &length) == nullptr)
        throw Error{Code::failed, "HMAC failed"};
    return out;
}

// Runs of spaces are one, none at the ends.
std::string canonical_value(std::string_view value) {
    std::string out;
    for (const char c : value)
        if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

}  // namespace

std::string encode_path(std::string_view path) { return encode(path, true); }

std::string encode_query(const Pairs& query) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : query) parts.push_back(encode(name, false) + "=" + encode(value, false));
    std::ranges::sort(parts);
    return fmt::format("{}", fmt::join(parts, "&"));
}

std::string hash_hex(ByteView bytes) { return to_hex(crypto::sha256(bytes)); }

std::string amz_date(Nanoseconds time) {
    const std::time_t seconds = time / one_second;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char out[17];
    std::strftime(out, sizeof out, "%Y%m%dT%H%M%SZ", &parts);
    return out;
}

Pairs sign(const SignedRequest& request, const Credentials& credentials, const std::string& region,
           const std::string& service, Nanoseconds now) {
    const std::string time = amz_date(now), day = time.substr(0, 8);
    const Dialect& dialect = request.dialect;
    const std::string prefix(dialect.headers);
    Pairs out{{"host", request.host}, {prefix + "content-sha256", request.payload_hash}, {prefix + "date", time}};
    if (!credentials.session_token.empty()) out.emplace_back(prefix + "security-token", credentials.session_token);

    Pairs all = request.headers;
    all.insert(all.end(), out.begin(), out.end());
    std::ranges::sort(all);
    std::string headers, names;
    for (const auto& [name, value] : all) {
        headers += name + ":" + canonical_value(value) + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, encode_path(request.path),
                                              encode_query(request.query), headers, names, request.payload_hash);
    const std::string scope = fmt::format("{}/{}/{}/{}", day, region, service, dialect.end);
    const std::string algorithm = fmt::format("{}-HMAC-SHA256", dialect.scheme);
    const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", algorithm, time, scope, hash_hex(as_bytes(canonical)));
    const std::string secret = std::string(dialect.scheme) + credentials.secret_key;
    Bytes key = hmac(as_bytes(secret), day);
    for (const std::string_view part : {std::string_view(region), std::string_view(service), dialect.end})
        key = hmac(key, part);
    out.emplace_back("authorization", fmt::format("{} Credential={}/{},SignedHeaders={},Signature={}", algorithm,
                                                  credentials.access_key, scope, names, to_hex(hmac(key, to_sign))));
    return out;
}

}  // namespace holdfast::s3
