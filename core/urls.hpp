// The spelling under which copies of a page meet, as in c4build/rules/urls.py.
#pragma once

#include <string>

#include "unicode.hpp"

namespace c4 {

std::string normalize_url(Text url);

} // namespace c4
