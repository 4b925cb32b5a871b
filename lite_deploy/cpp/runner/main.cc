// pose_runner: times one model of an artifact folder on this device, computes a file of inputs with it, or follows
// people through frames with two models, and prints lines of JSON, the last of which says what was done.
//
// One process measures one model with one number of threads, because an engine's memory, threads and caches
// belong to the process; `lite-deploy bench` starts it again for each round. Its lines are documented in
// docs/benchmark.md.
#include <cstdio>
#include <exception>
#include <iostream>

#include <nlohmann/json.hpp>

#include "batch.h"
#include "measure.h"
#include "options.h"
#include "people.h"

namespace {

using nlohmann::json;

constexpr int kSchema = 1;

}  // namespace

int main(int count, char** words) {
  Options options;
  try {
    options = Parse(count, words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pose_runner: %s\n%s", error.what(), kUsage);
    return 2;
  }
  try {
    json line = !options.frames.empty() ? FollowPeople(options)
                : !options.batch.empty() ? RunBatch(options)
                                         : Measure(options);
    line["schema"] = kSchema;
    std::cout << line.dump() << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cout << json{{"schema", kSchema}, {"kind", "error"}, {"message", error.what()}}.dump() << std::endl;
    return 1;
  }
}
