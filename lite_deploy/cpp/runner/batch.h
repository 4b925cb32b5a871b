// Computes what a network gives for a file of inputs.
#pragma once

#include <nlohmann/json.hpp>

#include "options.h"

// Returns a line that names the files of outputs. Throws std::runtime_error.
nlohmann::json RunBatch(const Options& options);
