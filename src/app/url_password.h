// app/url_password.h: passwords in URLs, where others can read them: "https://user:secret@host/", "postgres://h/?password=secret".
#pragma once

#include <string>
#include <string_view>

namespace holdfast::app {

// The rest of it as it is. has_password() in app/config.h sees whether there is one.
std::string without_password(std::string_view url);

}  // namespace holdfast::app
