// The people of a picture, by the library and Paddle-Lite's C++ API:  people POSE.nb DETECTOR.nb PICTURE.ppm
#include <paddle_api.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "pose/pose.h"

namespace lite = paddle::lite_api;

// The library calls this for each crop and each detection; `user` is the predictor.
int Run(void* user, const float* input, int height, int width, pose_tensor* outputs) {
  auto* predictor = static_cast<lite::PaddlePredictor*>(user);
  auto tensor = predictor->GetInput(0);
  tensor->Resize({1, 3, height, width});
  std::copy_n(input, 3 * height * width, tensor->mutable_data<float>());
  predictor->Run();
  for (int i = 0, count = predictor->GetOutputNames().size(); i < count; ++i) {
    auto output = predictor->GetOutput(i);
    const std::vector<int64_t> shape = output->shape();
    outputs[i].data = output->data<float>();  // the predictor's memory, until it runs again
    outputs[i].rank = shape.size();
    std::copy(shape.begin(), shape.end(), outputs[i].shape);
  }
  return 0;
}

std::shared_ptr<lite::PaddlePredictor> Open(const char* file) {
  lite::MobileConfig config;
  config.set_model_from_file(file);
  return lite::CreatePaddlePredictor<lite::MobileConfig>(config);
}

int main(int count, char** words) {
  if (count != 4) return 2;
  const auto pose = Open(words[1]), detector = Open(words[2]);

  // What pose.json says of both networks; the rest of the settings is as `tinypose infer` has it.
  const double sigmas[17] = {0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
                             0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089};
  pose_settings settings = pose_default_settings();
  settings.pose.width = 96;
  settings.pose.height = 128;
  settings.pose.run = Run;
  settings.pose.user = pose.get();
  settings.joints.joints = 17;
  settings.joints.sigmas = sigmas;
  settings.detector.width = 416;
  settings.detector.height = 416;
  settings.detector.run = Run;
  settings.detector.user = detector.get();
  const char* problem = nullptr;
  pose_pipeline* pipeline = pose_open(&settings, &problem);
  if (!pipeline) return std::fprintf(stderr, "%s\n", problem), 1;

  std::FILE* file = std::fopen(words[3], "rb");
  int width = 0, height = 0;
  if (!file || std::fscanf(file, "P6 %d %d 255", &width, &height) != 2 || std::fgetc(file) != '\n') return 1;
  std::vector<uint8_t> pixels(3 * width * height);
  if (std::fread(pixels.data(), 1, pixels.size(), file) != pixels.size()) return 1;
  std::fclose(file);

  // A camera: pose_nv21(...) and pose_follow(pipeline, &frame, seconds) for each frame, which also gives ids.
  const pose_frame frame = pose_rgb(pixels.data(), width, height, 3 * width, 0);
  if (pose_look(pipeline, &frame, nullptr, 0) != POSE_OK)
    return std::fprintf(stderr, "%s\n", pose_message(pipeline)), 1;
  int found = 0;
  const pose_person* people = pose_people(pipeline, &found);
  for (int i = 0; i < found; ++i) {
    std::printf("person %.4f at %.3f %.3f %.3f %.3f:", people[i].score, people[i].box[0], people[i].box[1],
                people[i].box[2], people[i].box[3]);
    for (int k = 0; k < 3 * 17; ++k) std::printf(" %.3f", people[i].keypoints[k]);
    std::printf("\n");
  }
  pose_close(pipeline);
}
