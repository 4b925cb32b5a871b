#include <stdexcept>

#include "engine.h"

std::unique_ptr<Engine> LoadEngine(const std::string&, int, int, int) {
  throw std::runtime_error(
      "this runner was built without an engine; build it with -DPADDLE_LITE_DIR=<an unpacked Paddle-Lite release>");
}
