#include <paddle_api.h>

#include <fstream>
#include <stdexcept>
#include <string>

#include "engine.h"

namespace {

namespace lite = paddle::lite_api;

class PaddleLite : public Engine {
 public:
  PaddleLite(const std::string& model_file, int threads, int height, int width) {
    // Paddle-Lite ends the process when it cannot open a file.
    if (!std::ifstream(model_file)) throw std::runtime_error(model_file + ": cannot be opened");
    lite::MobileConfig config;
    config.set_model_from_file(model_file);
    config.set_threads(threads);
    config.set_power_mode(lite::LITE_POWER_NO_BIND);  // the runner itself chooses the cores
#if defined(__x86_64__)
    config.set_x86_math_num_threads(threads);
#endif
    predictor_ = lite::CreatePaddlePredictor<lite::MobileConfig>(config);
    if (!predictor_) throw std::runtime_error(model_file + ": Paddle-Lite cannot load it");
    input_ = predictor_->GetInput(0);
    input_->Resize({1, 3, height, width});
  }

  float* input() override { return input_->mutable_data<float>(); }

  void Run() override { predictor_->Run(); }

  size_t outputs() override { return predictor_->GetOutputNames().size(); }

  const float* output(size_t i) override {
    output_ = predictor_->GetOutput(static_cast<int>(i));
    if (output_->precision() != lite::PrecisionType::kFloat)
      throw std::runtime_error("the network's output " + std::to_string(i) + " is not float32");
    return output_->data<float>();
  }

  std::vector<int64_t> output_shape(size_t i) override {
    return predictor_->GetOutput(static_cast<int>(i))->shape();
  }

  std::string version() override { return predictor_->GetVersion(); }

 private:
  std::shared_ptr<lite::PaddlePredictor> predictor_;
  std::unique_ptr<lite::Tensor> input_;
  std::unique_ptr<const lite::Tensor> output_;
};

}  // namespace

std::unique_ptr<Engine> LoadEngine(const std::string& model_file, int threads, int height, int width) {
  return std::make_unique<PaddleLite>(model_file, threads, height, width);
}
