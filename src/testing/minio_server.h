// testing/minio_server.h: a real S3 server (MinIO) for tests, on a free port of the loopback.
//
// Shape    MinioServer server; open_s3_store({.url = "s3://tests/x", .endpoint = server.endpoint()}, world)
// Errors   failed, with the server's log, when it does not start
// Threads  one owner
// Limits   built once by tests/servers/build.sh, which needs Go; puts its keys into this process's environment
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "base/process.h"

namespace holdfast::testing {

class MinioServer {
public:
    MinioServer();
    ~MinioServer();
    MinioServer(const MinioServer&) = delete;
    MinioServer& operator=(const MinioServer&) = delete;

    const std::string& endpoint() const { return endpoint_; }
    std::string bucket() const { return "tests"; }

private:
    TemporaryFolder folder_;
    std::string endpoint_;
    std::unique_ptr<Child> server_;
};

}  // namespace holdfast::testing
