// sources/mongodb/dump.h: dumps that mongodump made, as a source.
//
// Shape    an archive, a folder (DATABASE/COLLECTION.bson with .metadata.json), or a tar of such a folder; each also packed by
//          gzip. Archives and tars are unpacked into `work` first. oplog.bson is replayed by a restore, as for --oplog
// Errors   source_failed for what is no dump, is cut short or damaged
// Threads  as Capture says
// Limits   an archive's or tar's size in `work`
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "source/source.h"

namespace holdfast::mongodb {

// "archive", "folder", "tar"; empty: it is none.
std::string dump_format(const std::string& path);

struct DumpRequest {
    World& world;
    std::string path;
    std::string work;  // a folder of ours, which outlives the source
    std::string name;
    std::string database = {};  // of collections that lie at the top, or in the one folder of a tar
};
std::unique_ptr<Source> load_dump(const DumpRequest& request);

}  // namespace holdfast::mongodb
