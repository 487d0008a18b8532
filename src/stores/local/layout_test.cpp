#include "stores/local/layout.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace holdfast {

namespace {

const std::string hash = "ab" + std::string(62, '3');

}  // namespace

TEST(Layout, a_name_is_its_path) {
    const std::vector<std::string> names{"config",         "keys/1",
                                         "log/0a/1/2",     "data/x",
                                         "index/" + hash,  "data/" + hash.substr(1),
                                         "data/x/" + hash, "data/AB" + hash.substr(2)};
    for (const std::string& name : names) EXPECT_EQ(place_of(name).path(), name);
}

TEST(Layout, hashes_of_data_meta_and_state_lie_in_a_folder_of_their_first_two_digits) {
    for (const std::string folder : {"data", "meta", "state"}) {
        const std::string name = folder + "/" + hash;
        EXPECT_EQ(place_of(name).folder, folder + "/ab");
        EXPECT_EQ(place_of(name).leaf, hash);
    }
}

TEST(Layout, a_path_leads_back_to_its_name) {
    const std::vector<std::string> names{"config", "log/0a/1/2", "data/" + hash, "index/" + hash, "data/" + hash + "0"};
    for (const std::string& name : names) {
        const Place place = place_of(name);
        EXPECT_EQ(name_at(place.folder, place.leaf), name);
    }
}

TEST(Layout, a_name_that_would_be_the_file_of_another_is_refused) {
    for (const std::string& name : {"data/ab/" + hash, std::string("meta/00/x")}) {
        try {
            place_of(name);
            ADD_FAILURE() << name;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::usage);
        }
    }
    EXPECT_EQ(place_of("log/ab/" + hash).path(), "log/ab/" + hash);
}

TEST(Layout, a_file_that_is_no_objects_has_no_name) {
    EXPECT_FALSE(name_at("", "a~"));
    EXPECT_FALSE(name_at("", ".tmp"));
    EXPECT_FALSE(name_at(".tmp", "1"));
    EXPECT_FALSE(name_at("lost found", "x"));
    EXPECT_FALSE(name_at("data/cd", hash)) << "in the wrong folder";
    EXPECT_FALSE(name_at("data/ab", "ab12")) << "no hash";
}

TEST(Layout, a_walk_enters_only_folders_that_may_hold_the_prefix) {
    EXPECT_TRUE(may_hold("log", ""));
    EXPECT_TRUE(may_hold("log", "log"));
    EXPECT_TRUE(may_hold("log", "lo"));
    EXPECT_TRUE(may_hold("log", "log/a"));
    EXPECT_TRUE(may_hold("log/ab", "log/a"));
    EXPECT_FALSE(may_hold("log", "logs"));
    EXPECT_FALSE(may_hold("log/ab", "log/b"));
    EXPECT_TRUE(may_hold("data/ab", "data/a"));
    EXPECT_TRUE(may_hold("data/ab", "data/abc"));
    EXPECT_FALSE(may_hold("data/ab", "data/ac"));
}

}  // namespace holdfast
