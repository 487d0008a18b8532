#include "store/read_back.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "testing/memory_store.h"

namespace holdfast {
namespace {

// Takes everything and keeps it wrong.
class ForgetfulStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    std::optional<Bytes> read(std::string_view name) override {
        auto out = inner().read(name);
        if (out && name.starts_with("flipped")) out->front() ^= 1;
        return name.starts_with("lost") ? std::nullopt : out;
    }
};

TEST(ReadBackStore, believes_what_it_reads) {
    MemoryStore memory;
    ForgetfulStore forgetful(memory);
    ReadBackStore store(forgetful);
    EXPECT_EQ(store.create("good", as_bytes("x")), Created::created);
    EXPECT_EQ(store.create("good", as_bytes("other")), Created::exists);
    for (const std::string_view name : {"flipped", "lost"}) {
        try {
            store.create(name, as_bytes("x"));
            ADD_FAILURE() << name;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::corrupt);
        }
    }
}

}  // namespace
}  // namespace holdfast
