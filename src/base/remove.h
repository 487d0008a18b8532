// base/remove.h: removes a folder with all that is in it, whatever its modes and however deep.
//
// Errors   failed with the path of what cannot be removed
// Limits   any depth; symlinks are removed, never followed
#pragma once

#include <string>

namespace holdfast {

// Nothing happens when there is no such folder.
void remove_everything(const std::string& folder);

}  // namespace holdfast
