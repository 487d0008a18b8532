// tests/golden/golden.h: what a golden repository is, for the program that makes one and for the test that opens all.
//
// Shape    format-N/ holds repository.tar, key (a key file), passphrase, manifest. The manifest has a line
//          "snapshot ID SOURCE ROOT" for each snapshot, behind it a line for each thing in it; "forgotten ID" for those
//          that must not come back. ROOT is the folder that is restored, "-" when it is all
#pragma once

#include <string>
#include <vector>

#include "source/facts.h"

namespace holdfast::golden {

// "file SHA256 SIZE PATH", "link TARGET PATH", "folder PATH", sorted; bytes that are no plain letters as %XX.
std::vector<std::string> describe_folder(const std::string& folder);
// "fact ITEM NAME VALUE", in their order.
std::vector<std::string> describe_facts(const Facts& facts);

void pack_folder(const std::string& folder, const std::string& archive);
void unpack_folder(const std::string& archive, const std::string& folder);

}  // namespace holdfast::golden
