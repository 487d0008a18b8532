// ledger/schema.h: the tables, made and brought up to date when a ledger is opened.
//
// Errors   newer_format when a newer holdfast has made them
#pragma once

#include "ledger/database.h"

namespace holdfast::ledger {

void migrate(Database& database);

}  // namespace holdfast::ledger
