// app/service_manager.h: what systemd wants to hear (sd_notify): ready, stopping, still alive.
//
// Threads  one
#pragma once

#include <string_view>

namespace holdfast::app {

// To NOTIFY_SOCKET; nothing happens where there is none.
void notify_service_manager(std::string_view message);

}  // namespace holdfast::app
