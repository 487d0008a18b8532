// store/read_back.h: a store that believes no write before it has read it back.
//
// Errors   corrupt when what lies under a name is not what was written there
// Threads  as store.h
#pragma once

#include "store/decorator.h"

namespace holdfast {

class ReadBackStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    Created create(std::string_view name, ByteView bytes) override;
};

}  // namespace holdfast
