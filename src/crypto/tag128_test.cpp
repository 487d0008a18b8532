#include "crypto/tag128.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/test_help.h"

namespace holdfast::crypto {
namespace {

TEST(Tag128, gives_the_vectors_of_SipHash_2_4_with_128_bits) {
    EXPECT_EQ(to_hex(tag128(Secret(counting(16)), {})), "a3817f04ba25a8e66df67214c7550293");
    EXPECT_EQ(to_hex(tag128(Secret(counting(16)), counting(15))), "5493e99933b0a8117e08ec0f97cfc3d9");
    EXPECT_THROW(tag128(Secret(counting(15)), {}), Error);
}

}  // namespace
}  // namespace holdfast::crypto
