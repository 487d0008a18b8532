// clients/s3/xml.h: the little of XML that S3 and STS answer with.
//
// Limits   elements without attributes, found by name wherever they stand; entities are decoded
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::s3 {

// The text of the first element of this name.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name);
// The inside of each element of this name, still as XML.
std::vector<std::string_view> xml_elements(std::string_view xml, std::string_view name);

}  // namespace holdfast::s3
