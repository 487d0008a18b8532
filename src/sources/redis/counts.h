// sources/redis/counts.h: keys by type and database, and digests of all that they hold: the facts of a capture.
//
// Shape    read_rdb(input, counts); counts.facts()
// Threads  one
// Source   doc/format/redis.md
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "source/facts.h"
#include "sources/redis/rdb.h"

namespace holdfast::redis {

class RdbCounts final : public RdbSink {
public:
    explicit RdbCounts(std::optional<std::uint64_t> only = {}) : only_(only) {}
    void version(int number) override { version_ = number; }
    void aux(const std::string& name, const std::string& value) override { aux_[name] = value; }
    void function(ByteView raw) override;
    void end_key(const RdbKey& key, const Value& value) override;

    // Only keys that it is true of.
    void choose(std::function<bool(const RdbKey&)> takes) { takes_ = std::move(takes); }
    void pass_over_functions() { passes_over_functions_ = true; }

    // Of a database that holds nothing too, when it is among these.
    Facts facts(const std::vector<std::uint64_t>& databases = {}) const;
    std::uint64_t keys() const;
    std::uint64_t opaque() const { return opaque_; }  // values of modules
    const std::map<std::string, std::string>& aux_fields() const { return aux_; }

private:
    // Keys with an expiry are facts of their own: some will be gone when a restore is looked at.
    struct Half {
        std::uint64_t keys = 0;
        std::array<std::uint64_t, value_classes> by_class{};
        Sum128 digest;
    };
    struct Database {
        Half lasting;
        Half expiring;
    };
    static void add_half(Facts& facts, const std::string& item, const std::string& prefix, const Half& half);

    std::optional<std::uint64_t> only_;
    std::function<bool(const RdbKey&)> takes_;
    bool passes_over_functions_ = false;
    int version_ = 0;
    std::map<std::uint64_t, Database> databases_;
    std::map<std::string, std::string> aux_;
    Sum128 functions_;
    std::uint64_t function_count_ = 0;
    std::uint64_t opaque_ = 0;
};

}  // namespace holdfast::redis
