#include "app/url_password.h"

#include <algorithm>
#include <cctype>

namespace holdfast::app {

namespace {

// "password=secret", "sslpassword=secret", "tlsCertificateKeyFilePassword=secret"
bool is_password(std::string_view parameter) {
    constexpr std::string_view word = "password";
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    return equals >= word.size() && equals + 1 < parameter.size() &&
           std::ranges::equal(parameter.substr(equals - word.size(), word.size()), word, {},
                              [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
}

void erase_from_query(std::string& url, std::size_t at) {
    while (at < url.size() && url[at] != '#') {
        const std::size_t end = std::min(url.find_first_of("&#", at + 1), url.size());
        if (!is_password(std::string_view(url).substr(at + 1, end - at - 1)))
            at = end;
        else if (url[at] == '?' && end < url.size() && url[end] == '&')
            url.erase(at + 1, end - at);
        else
            url.erase(at, end - at);
    }
}

}  // namespace

std::string without_password(std::string_view url) {
    std::string out(url);
    const std::size_t scheme = out.find("://");
    if (scheme == std::string::npos || scheme == 0) return out;
    const std::size_t begin = scheme + 3;
    const std::size_t end = std::min(out.find_first_of("/?#", begin), out.size());
    erase_from_query(out, out.find_first_of("?#", end));
    const std::size_t at = out.rfind('@', end), colon = out.find(':', begin);
    if (at != std::string::npos && at < end && colon < at && colon + 1 < at) out.erase(colon, at - colon);
    return out;
}

}  // namespace holdfast::app
