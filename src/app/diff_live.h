// app/diff_live.h: `diff SNAPSHOT live`: a snapshot against its source as it is now, or against another place.
//
// Errors   usage when a kind of source cannot be compared; target_failed when what is live cannot be read
#pragma once

#include <optional>
#include <string>

#include "app/context.h"
#include "app/select.h"
#include "engine/look.h"

namespace holdfast::app {

constexpr std::string_view live_word = "live";

struct LiveChoice {
    std::optional<std::string> place;  // a server or an environment, instead of the source's own
    bool rows = false;
    std::uint32_t rows_max = 1000;  // of each table
};

char sign_of(engine::Change change);
int diff_live(Context& context, repo::Repository& repository, const Selected& selected, const std::string& below,
              const LiveChoice& choice);

}  // namespace holdfast::app
