// source/listing.h: the names in one folder, sorted by their bytes, held in few bytes each.
//
// Errors   list() gives an errno, 0 for success
// Threads  one owner while it is filled, then immutable
// Limits   about 16 bytes a name and the name itself; 4 GiB of names in one folder (EOVERFLOW beyond)
#pragma once

#include <dirent.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

class Listing {
public:
    struct Name {
        std::uint64_t key;  // what sorts most names without looking at them
        std::uint32_t at;
        std::uint8_t type;  // DT_DIR …, DT_UNKNOWN where the file system does not say
    };
    int list(int folder);
    void sort();
    std::size_t size() const { return names_.size(); }
    // Ends with a NUL.
    const char* name(std::size_t index) const { return text_.data() + names_[index].at; }
    std::uint8_t type(std::size_t index) const { return names_[index].type; }
    void set_type(std::size_t index, std::uint8_t type) { names_[index].type = type; }
    bool has(std::string_view name) const;
    template <class Predicate>
    void keep_if(const Predicate& keeps) {
        std::erase_if(names_,
                      [&](const Name& name) { return !keeps(std::string_view(text_.data() + name.at), name.type); });
    }
    void add(std::string_view name, std::uint8_t type);

private:
    std::string text_;  // each name and a NUL
    std::vector<Name> names_;
};

}  // namespace holdfast
