// clients/s3/credentials.h: where the right to use a bucket comes from.
//
// Shape    environment → web identity (a Kubernetes service account) → shared credentials and config files → container
//          → instance role; the first that has some
// Errors   denied: there are none anywhere (with the places that were looked at); unreachable
// Threads  all members from any
// Limits   temporary ones are renewed from five minutes before they end; while that fails, they are used to their end
// Source   docs.aws.amazon.com, "Standardized credential providers"
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "clients/s3/sigv4.h"

namespace holdfast::s3 {

// The machine as the chain sees it; tests bring their own.
struct Surroundings {
    std::function<std::optional<std::string>(const std::string&)> variable;  // of the environment
    std::function<std::optional<std::string>(const std::string&)> file;
    std::string home;
    std::string profile = {};  // not empty: credentials are those of this profile, whatever else there is
};
Surroundings real_surroundings();
// HOLDFAST_TLS_MIN; 1.3 is the least unless it says 1.2. config: it says anything else.
bool allows_tls_1_2(const Surroundings& surroundings);

// "https://SERVICE.REGION.amazonaws.com", in China below its own domain.
std::string amazons(std::string_view service, std::string_view region);

class CredentialChain {
public:
    // `region`: whose STS is asked.
    CredentialChain(World& world, Surroundings surroundings, std::string region);
    Credentials get();
    // The store said that those with this key have ended.
    void renew(const std::string& access_key);

private:
    std::optional<Credentials> from_environment() const;
    std::optional<Credentials> from_web_identity();
    std::optional<Credentials> from_files() const;
    std::optional<Credentials> from_container();
    std::optional<Credentials> from_instance();
    std::optional<Credentials> find();

    World& world_;
    const Surroundings surroundings_;
    const std::string region_;
    std::mutex mutex_;
    // guarded by mutex_
    std::optional<Credentials> current_;
    Nanoseconds next_try_ = 0;  // by the steady clock
    bool had_instance_ = false;
};

// A value of the profile in use: "region", "endpoint_url".
std::optional<std::string> profile_value(const Surroundings& surroundings, const std::string& key);

}  // namespace holdfast::s3
