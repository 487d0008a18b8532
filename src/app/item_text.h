// app/item_text.h: items for people, as `ls` and `find` print them.
#pragma once

#include <string>

#include "base/item.h"

namespace holdfast::app {

std::string mode_text(const Item& item);  // "-rw-r--r--"
std::string item_text(const Item& item);  // "-rw-r--r--  root  root  1.24 kB  2026-03-01 04:10:00  /etc/hosts"

}  // namespace holdfast::app
