#include "app/url_password.h"

#include <gtest/gtest.h>

#include "app/config.h"

namespace holdfast::app {
namespace {

TEST(UrlPassword, is_seen_wherever_a_url_may_have_one) {
    EXPECT_TRUE(has_password("https://ann:secret@host/"));
    EXPECT_TRUE(has_password("postgres://:x@h"));
    EXPECT_TRUE(has_password("postgres://u@h/db?password=x"));
    EXPECT_TRUE(has_password("postgres://u@h?sslmode=require&sslpassword=x"));
    EXPECT_TRUE(has_password("mongodb://h/?tlsCertificateKeyFilePassword=x"));
    EXPECT_FALSE(has_password("https://ann@host/"));
    EXPECT_FALSE(has_password("https://ann:@host/"));
    EXPECT_FALSE(has_password("https://host:8080/a@b:c"));
    EXPECT_FALSE(has_password("postgres://u@h/db?password=&passfile=/x"));
    EXPECT_FALSE(has_password("https://h/#?password=x"));
    EXPECT_FALSE(has_password("/a:b@c"));
    EXPECT_FALSE(has_password("/a?password=b"));
    EXPECT_FALSE(has_password("files:/a:b@c"));
}

TEST(UrlPassword, goes_and_the_rest_stays) {
    EXPECT_EQ(without_password("postgres://u:p@h:1/db?a=b"), "postgres://u@h:1/db?a=b");
    EXPECT_EQ(without_password("postgres://u:p@q@h/"), "postgres://u@h/");
    EXPECT_EQ(without_password("postgres://h/db?password=x"), "postgres://h/db");
    EXPECT_EQ(without_password("postgres://h/db?password=x&a=b&sslpassword=y&c=d"), "postgres://h/db?a=b&c=d");
    EXPECT_EQ(without_password("postgres://h/db?a=b&Password=x#f"), "postgres://h/db?a=b#f");
    EXPECT_EQ(without_password("postgres://h/db?password=x&password=y"), "postgres://h/db");
    EXPECT_EQ(without_password("postgres://h:1/db?&a=b&"), "postgres://h:1/db?&a=b&");
    EXPECT_EQ(without_password("https://h:1/a@b"), "https://h:1/a@b");
    EXPECT_EQ(without_password("postgres://u:not encoded@h/"), "postgres://u@h/");
}

}  // namespace
}  // namespace holdfast::app
