// source/item_list.h: the items of a capture that knows all of them before it begins, such as the tables of a database.
//
// Shape    ItemList<Place> items; items.add_folder("shop"); items.add("shop/orders", place, 4096); while (items.next(batch));
//          Place is whatever the capture needs to open one
// Units    bytes are a guess, for planning
// Threads  add and next() from one; at() from any once all are added
#pragma once

#include <unistd.h>

#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/item.h"
#include "source/source.h"

namespace holdfast {

template <class Place>
class ItemList {
public:
    struct Listed {
        std::string path;
        Place place;
        std::uint64_t bytes = 0;
        bool is_folder = false;
    };

    // The first of a name counts.
    void add(std::string path, Place place, std::uint64_t bytes) {
        add({std::move(path), std::move(place), bytes, false});
    }
    void add_folder(std::string path) { add({std::move(path), {}, 0, true}); }

    // The items of the next folder, in tree order; false at the end.
    bool next(Batch& batch) {
        if (!has_begun_) at_ = items_.begin();
        has_begun_ = true;
        if (at_ == items_.end()) return false;
        batch = Batch{};
        batch.folder = split_path(at_->second.path).first;
        for (; at_ != items_.end() && split_path(at_->second.path).first == batch.folder; ++at_) {
            Batch::Entry& entry = batch.entries.emplace_back();
            entry.item = item_of(at_->second);
            entry.expected_bytes = at_->second.bytes;
        }
        return true;
    }

    // Of one that is no folder: those have nothing to open.
    const Listed& at(const std::string& path) const {
        const Listed& out = items_.at(tree_key(path));
        HF_ASSERT(!out.is_folder);
        return out;
    }

private:
    void add(Listed listed) {
        std::string key = tree_key(listed.path);
        items_.try_emplace(std::move(key), std::move(listed));
    }

    static Item item_of(const Listed& listed) {
        Item item;
        item.path = listed.path;
        item.kind = listed.is_folder ? ItemKind::folder : ItemKind::file;
        item.mode = listed.is_folder ? 0700 : 0600;
        item.uid = ::geteuid();
        item.gid = ::getegid();
        return item;
    }

    std::map<std::string, Listed> items_;  // by tree key
    typename std::map<std::string, Listed>::const_iterator at_;
    bool has_begun_ = false;
};

}  // namespace holdfast
