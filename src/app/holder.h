// app/holder.h: who carries out a run, so that whoever finds it in the ledger can tell whether that process still lives.
//
// Shape    "HOST BOOT NAMESPACE PID START"
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace holdfast::app {

std::string holder_of_this_process();
std::string holder_of(pid_t pid);
// Nothing when this machine cannot know: another host, or another container's processes.
std::optional<bool> is_holder_alive(const std::string& holder);

}  // namespace holdfast::app
