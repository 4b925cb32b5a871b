// Just enough declarations to link pose_runner with the Paddle-Lite that is inside the paddlelite 2.13rc0 wheel.
//
// A stand-in for a release's paddle_api.h, for tests on x86-64: the wheel has the library but no headers. The
// order of the virtual functions and the size of the config are that library's; a real build for a device uses
// the release's own header.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace paddle {
namespace lite_api {

enum class TargetType : int { kHost = 1 };
enum class PrecisionType : int { kFloat = 1 };
enum PowerMode { LITE_POWER_NO_BIND = 3 };

struct Tensor {
  explicit Tensor(void* raw);
  void Resize(const std::vector<int64_t>& shape);
  template <typename T>
  const T* data() const;
  template <typename T>
  T* mutable_data(TargetType type = TargetType::kHost) const;
  std::vector<int64_t> shape() const;
  PrecisionType precision() const;

 private:
  void* raw_;
};

class PaddlePredictor {
 public:
  virtual std::unique_ptr<Tensor> GetInput(int i) = 0;
  virtual std::unique_ptr<const Tensor> GetOutput(int i) const = 0;
  virtual void Run() = 0;
  virtual std::shared_ptr<PaddlePredictor> Clone() = 0;
  virtual std::shared_ptr<PaddlePredictor> Clone(const std::vector<std::string>& names) = 0;
  virtual std::string GetVersion() const = 0;
  virtual std::vector<std::string> GetInputNames() = 0;
  virtual std::vector<std::string> GetOutputNames() = 0;
  virtual ~PaddlePredictor() = default;  // the shared pointer deletes by its own, right, deleter
};

class ConfigBase {
 public:
  explicit ConfigBase(PowerMode mode = LITE_POWER_NO_BIND, int threads = 1);
  void set_threads(int threads);
  void set_power_mode(PowerMode mode);
  void set_x86_math_num_threads(int threads);

 private:
  alignas(8) unsigned char fields_[0x210];
};

class MobileConfig : public ConfigBase {
 public:
  void set_model_from_file(const std::string& path);

 private:
  bool from_memory_ = false;
  std::string file_;
  unsigned char rest_[256] = {};
};

template <typename Config>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const Config& config);

}  // namespace lite_api
}  // namespace paddle
