// base/redact.h: a command line as it may be shown and stored: without the secrets that stand in
// it.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace holdfast {

// "--password=x", "--token x", "PGPASSWORD=x" and the password of "scheme://user:x@host" become "***".
std::vector<std::string> redacted(std::span<const std::string> arguments);

}  // namespace holdfast
