// sources/redis/crc64.h: the checksum of RDB files and DUMP payloads (Jones, reflected).
#pragma once

#include "base/bytes.h"

namespace holdfast::redis {

std::uint64_t crc64(std::uint64_t begun, ByteView bytes);

}  // namespace holdfast::redis
