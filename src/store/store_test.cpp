#include "store/store.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace holdfast {

TEST(ObjectName, is_parts_of_letters_digits_dots_dashes_and_underscores) {
    for (const std::string_view name : {"a", "config", "log/0a/1/2", "A.b-c_D9", "a..b", "a./b", "-", "_/-"})
        EXPECT_TRUE(is_object_name(name)) << name;
    for (const std::string_view name : {"", "/", "/a", "a/", "a//b", ".", "..", ".a", "a/.", "a/..", "a/../b", "a b",
                                        "a\n", "a:b", "a~", "a\\b", "\x7f", "\xff"})
        EXPECT_FALSE(is_object_name(name)) << name;
    EXPECT_FALSE(is_object_name(std::string_view("a\0b", 3)));
}

TEST(ObjectName, has_a_greatest_length) {
    EXPECT_TRUE(is_object_name(std::string(object_name_bytes_max, 'a')));
    EXPECT_FALSE(is_object_name(std::string(object_name_bytes_max + 1, 'a')));
}

TEST(ObjectName, that_is_bad_is_refused_with_the_name_made_printable) {
    try {
        check_object_name("../etc\n");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::usage);
        EXPECT_EQ(error.message(), "\"../etc\\n\" cannot name an object");
    }
}

}  // namespace holdfast
