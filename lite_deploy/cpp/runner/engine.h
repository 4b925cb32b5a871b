// The inference engine behind the runner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "marks.h"

class Engine {
 public:
  virtual ~Engine() = default;
  virtual float* input() = 0;  // [1, 3, height, width], to be filled before Run
  virtual void Run() = 0;
  virtual size_t outputs() = 0;                // how many there are
  virtual const float* output(size_t i) = 0;  // valid until the next Run
  virtual std::vector<int64_t> output_shape(size_t i) = 0;
  virtual std::string version() = 0;
};

// One inference, marked so that its instructions can be counted.
inline void Infer(Engine* engine) {
  MarkBegin();
  engine->Run();
  MarkEnd();
}

// Loads a Paddle-Lite `.nb` file. Throws std::runtime_error, in a build without Paddle-Lite always.
std::unique_ptr<Engine> LoadEngine(const std::string& model_file, int threads, int height, int width);
