// report/copies.h: how many copies a source has, of what kind and where: the 3-2-1-1-0 row. Pure.
//
// I1  what was not looked at is "not tested", never a number
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/criticality.h"

namespace holdfast::report {

// A repository, as far as one source is concerned.
struct PlaceOfCopy {
    std::string name;
    std::string medium;  // "disk", "object store" …; empty: not said
    bool offsite = false;
    bool has_newest = false;              // of the source's snapshots
    std::optional<bool> is_whole = true;  // all of that lies there; nothing: this key cannot tell
};

struct CopiesOfSource {
    std::string source;
    std::vector<PlaceOfCopy> places = {};      // that have any snapshot of it
    std::optional<bool> proof = {};            // of the newest snapshot; nothing: it was never proven
    std::vector<std::string> unreadable = {};  // repositories that could not be looked into
    policy::Criticality criticality = policy::Criticality::normal;
};

// Copies of the newest snapshot; the source itself is one of the three.
struct CopiesRow {
    std::string source;
    std::size_t copies = 1;
    std::size_t media = 0;  // different ones that are named
    std::size_t offsite = 0;
    std::size_t errors = 0;
    bool is_proven = false;                    // else errors says too little: NOT TESTED
    std::vector<std::string> shortfalls = {};  // what is missing of 3-2-1-1-0, in words
    policy::Criticality criticality = policy::Criticality::normal;
};
CopiesRow copies_row(const CopiesOfSource& source);

}  // namespace holdfast::report
