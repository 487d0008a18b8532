// source/folder_rebuild.h: restores items into a folder as files, folders, links and devices.
//
// Shape    for every source whose items are files: items "/etc/hosts" become TARGET/etc/hosts, "dump.sql"
//          TARGET/dump.sql
// Errors   see source/source.h; what cannot be set or made is a finding, one for each kind of trouble
// Threads  as Rebuild says
// Limits   a few hundred bytes for each file begun and not ended, about 100 for each hard link with several
//          names
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "source/source.h"

namespace holdfast {

// Items may come without the folders that lead to them. A ticket that wants no content is finished when
// begin_item() returns: end_item() is allowed for it, and does nothing. What is deleted by
// may_delete lies in folders of the snapshot; those marked partial (source/partial_mark.h) are left alone.
std::unique_ptr<Rebuild> rebuild_into_folder(const RebuildRequest& request);

// The path of an item below the target, where `strip` is RebuildRequest's: "" is the target itself, nothing when the
// item is not in what is restored.
std::optional<std::string_view> path_below_target(const Item& item, std::string_view strip);

}  // namespace holdfast
