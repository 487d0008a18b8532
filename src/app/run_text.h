// app/run_text.h: runs of the ledger, for people and programs.
#pragma once

#include <string>

#include "app/json.h"
#include "ledger/ledger.h"

namespace holdfast::app {

Json json_of(const ledger::Run& run);
Json json_of(const ledger::Reach& reach, Nanoseconds now);
std::string text_of(const ledger::Reach& reach, Nanoseconds now);

}  // namespace holdfast::app
