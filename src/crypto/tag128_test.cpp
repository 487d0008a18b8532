#include "crypto/tag128.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/test_help.h"

namespace holdfast::crypto {
namespace {

TEST(Tag128, gives_the_vectors_of_SipHash_2_4_with_128_bits) {
    EXPECT_EQ(to_hex(tag128(Secret(counting(16)), {})), "a3817f04ba25a8e66df67214c7550293");
    EXPECT_EQ(to_hex(tag128(Secret(counting(16)), counting(15))), "5150d1772f50834a503e069a973fbd7c");
    EXPECT_THROW(tag128(Secret(counting(15)), {}), Error);
}

}  // namespace
}  // namespace holdfast::crypto
