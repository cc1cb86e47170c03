// tf.train.Example of byte features and TFRecord's frame, as in c4build/write/example.py.
#pragma once

#include <string>
#include <vector>

#include "unicode.hpp"

namespace c4 {

// Appends the frame of an Example with one bytes value for each name, in their order.
void append_framed_example(std::string& to, const std::vector<Text>& names, const std::vector<Text>& values);

} // namespace c4
