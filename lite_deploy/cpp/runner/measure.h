// Times a pose network from the picture to the joints.
#pragma once

#include <nlohmann/json.hpp>

#include "options.h"

// Returns the line that docs/benchmark.md documents. Throws std::runtime_error.
nlohmann::json Measure(const Options& options);
