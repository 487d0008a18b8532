#include "report/copies.h"

#include <fmt/format.h>

#include <set>

namespace holdfast::report {

CopiesRow copies_row(const CopiesOfSource& source) {
    CopiesRow row{.source = source.source, .criticality = source.criticality};
    std::set<std::string> media;
    for (const PlaceOfCopy& place : source.places) {
        if (!place.has_newest) {
            ++row.errors;
            row.shortfalls.push_back(fmt::format("{} lacks the newest snapshot", place.name));
            continue;
        }
        if (place.is_whole == false) {
            ++row.errors;
            row.shortfalls.push_back(fmt::format("{} lacks a part of the newest snapshot", place.name));
            continue;
        }
        if (!place.is_whole)
            row.shortfalls.push_back(
                fmt::format("whether {} has all of the newest snapshot is not tested", place.name));
        ++row.copies;
        if (!place.medium.empty()) media.insert(place.medium);
        if (place.offsite) ++row.offsite;
    }
    row.media = media.size();
    for (const std::string& name : source.unreadable) {
        ++row.errors;
        row.shortfalls.push_back(fmt::format("{} could not be looked into", name));
    }
    if (source.proof == false) {
        ++row.errors;
        row.shortfalls.emplace_back("the proof of the newest snapshot failed");
    }
    row.is_proven = source.proof.has_value();
    if (row.copies < 3) row.shortfalls.push_back(fmt::format("{} of 3 copies, with the source itself", row.copies));
    if (row.media < 2) row.shortfalls.push_back(fmt::format("{} of 2 media are named", row.media));
    if (row.offsite < 1) row.shortfalls.emplace_back("no copy is off-site");
    row.shortfalls.emplace_back("whether a copy is immutable is not tested");
    if (!row.is_proven) row.shortfalls.emplace_back("the newest snapshot was never proven");
    return row;
}

}  // namespace holdfast::report
