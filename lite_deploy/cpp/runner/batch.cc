#include "batch.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "description.h"
#include "engine.h"
#include "npy.h"
#include "system.h"

namespace {

using nlohmann::json;
using Shape = std::vector<int64_t>;

// A network's output for one input has a first dimension of 1, in whose place all inputs stand.
Shape ForAll(int64_t count, Shape each) {
  if (!each.empty() && each[0] == 1) each[0] = count;
  else each.insert(each.begin(), count);
  return each;
}

}  // namespace

json RunBatch(const Options& options) {
  const ModelFile model = ReadModel(options.pose, options.model);
  CheckProcessor(model);
  if (!options.cores.empty()) BindTo(options.cores);
  NpyReader inputs(options.batch);
  const Shape& shape = inputs.shape();
  if (shape.size() != 4 || shape[1] != 3 || inputs.each() == 0)
    throw std::runtime_error(options.batch + ": expected float32 [N, 3, height, width]");
  const std::unique_ptr<Engine> engine =
      LoadEngine(model.file, options.threads, static_cast<int>(shape[2]), static_cast<int>(shape[3]));
  std::vector<Shape> shapes;
  std::vector<std::unique_ptr<NpyWriter>> files;
  json names = json::array();
  for (int64_t i = 0; i < shape[0]; ++i) {
    inputs.Read(engine->input());
    Infer(engine.get());
    for (size_t k = 0; k < engine->outputs(); ++k) {
      const Shape found = engine->output_shape(k);
      if (i == 0) {
        names.push_back(options.outputs + "." + std::to_string(k) + ".npy");
        files.emplace_back(new NpyWriter(names.back().get<std::string>(), ForAll(shape[0], found)));
        shapes.push_back(found);
      }
      if (found != shapes[k])
        throw std::runtime_error("output " + std::to_string(k) + " is " + json(found).dump() + " for input " +
                                 std::to_string(i) + " and was " + json(shapes[k]).dump() + " for the first");
      files[k]->Write(engine->output(k));
    }
  }
  for (const auto& file : files) file->Finish();
  return {{"kind", "batch"},
          {"engine", "paddle-lite"},
          {"engine_version", engine->version()},
          {"runner", "pose_runner"},
          {"model", options.model},
          {"threads", options.threads},
          {"inputs", shape[0]},
          {"outputs", names}};
}
