// testing/free_port.h: a port of the loopback that nobody listens on at the moment.
#pragma once

namespace holdfast::testing {

int free_port();

}  // namespace holdfast::testing
