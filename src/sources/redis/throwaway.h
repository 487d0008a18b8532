// sources/redis/throwaway.h: a redis-server that runs in a sandbox on a data folder, and that nobody else reaches.
//
// Shape    Throwaway t(sandbox, folder, …); t.check(…) while it does not run; t.start(); t.url()
// Errors   source_failed without a redis-server that is new enough; target_failed when it does not load the folder
// Threads  one owner
// I1  no key expires in it, whatever the time
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sandbox/process.h"
#include "source/facts.h"

namespace holdfast::redis {

class Throwaway {
public:
    struct Options {
        std::string bin_dir = {};           // of redis-server; empty: where packages put it
        std::string captured_version = {};  // the server must not be older; empty: any
        std::uint64_t databases = 0;        // at least
    };
    Throwaway(Sandbox& sandbox, std::string data, Options options);

    const std::string& data() const { return data_; }
    const std::string& installed() const { return installed_; }
    // Runs redis-check-rdb or redis-check-aof on a file of the data folder.
    CheckLine check(const std::string& program, const std::string& file) const;
    void start();
    bool runs() const { return process_ != nullptr; }
    std::string url() const;
    const SandboxProcess* process() const { return process_.get(); }

private:
    std::vector<std::string> readable() const;
    void give_to_sandbox() const;
    void wait_until_loaded();

    Sandbox& sandbox_;
    const std::string data_;
    const Options options_;
    const std::string folder_;
    const std::string socket_;
    std::string installed_;
    std::unique_ptr<SandboxProcess> process_;
};

// Of the facts of a capture; empty without them.
std::string captured_version(const std::optional<Facts>& facts);

}  // namespace holdfast::redis
