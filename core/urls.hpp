// The spelling under which copies of a page meet, as in c4build/rules/urls.py.
#pragma once

#include <string>

#include "unicode.hpp"

namespace c4 {

std::string normalize_url(Text url);

// What stands before the first of / ? # in a normalised URL that begins with a plain host, and alone decides which domain it
// is of; empty for another URL.
Text plain_host(Text normalized);

} // namespace c4
