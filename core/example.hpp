// tf.train.Example of byte features and TFRecord's frame, as in c4build/write/example.py.
#pragma once

#include <span>
#include <string>

#include "unicode.hpp"

namespace c4 {

// The bytes of the frame of an Example with one bytes value for each name, in their order.
std::size_t framed_example_size(std::span<const Text> names, std::span<const Text> values);

// Writes the frame where there is room for so many bytes; returns the place behind it.
char* write_framed_example(char* to, std::span<const Text> names, std::span<const Text> values);

std::string framed_example(std::span<const Text> names, std::span<const Text> values);

} // namespace c4
