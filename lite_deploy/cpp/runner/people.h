// People in a stream of frames, one line of JSON each: the pipeline that an app runs, on a board or a PC.
#pragma once

#include <nlohmann/json.hpp>

#include "options.h"

// Reads raw frames from standard input to its end and prints a line for each; returns the last line, which says
// what the stages took. Throws std::runtime_error.
nlohmann::json FollowPeople(const Options& options);
