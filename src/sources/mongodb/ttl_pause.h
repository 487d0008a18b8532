// sources/mongodb/ttl_pause.h: keeps a server from deleting expired documents while a restore goes on and is looked at.
//
// Errors   none: who may not say so (setParameter) is told that documents may expire meanwhile
// Threads  one owner
#pragma once

#include "clients/mongodb/client.h"

namespace holdfast::mongodb {

class TtlPause {
public:
    explicit TtlPause(ClientPool& pool) : pool_(pool) {}
    ~TtlPause() { end(); }  // only what it switched off is switched on again
    TtlPause(const TtlPause&) = delete;
    TtlPause& operator=(const TtlPause&) = delete;
    void begin();  // once counts

private:
    void end() noexcept;
    ClientPool& pool_;
    bool was_asked_ = false;
    bool is_paused_ = false;
};

}  // namespace holdfast::mongodb
