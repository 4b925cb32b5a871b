// The natives of the classes in com/baidu/paddle/lite here, on Paddle-Lite's C++ API: for tests on a plain JVM.
#include <jni.h>
#include <paddle_api.h>

#include <memory>
#include <string>
#include <vector>

namespace lite = paddle::lite_api;

namespace {

using Predictor = std::shared_ptr<lite::PaddlePredictor>;

// As in Paddle-Lite's own JNI, a tensor lives until the process ends or its Java object is collected; here: the former.
Predictor& At(jlong pointer) { return *reinterpret_cast<Predictor*>(pointer); }
lite::Tensor* Input(jlong pointer) { return reinterpret_cast<lite::Tensor*>(pointer); }
const lite::Tensor* Output(jlong pointer) { return reinterpret_cast<const lite::Tensor*>(pointer); }

int64_t Size(const std::vector<int64_t>& shape) {
  int64_t size = 1;
  for (const int64_t side : shape) size *= side;
  return size;
}

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_com_baidu_paddle_lite_PaddlePredictor_load(JNIEnv* env, jclass, jstring file,
                                                                        jint threads) {
  const char* name = env->GetStringUTFChars(file, nullptr);
  lite::MobileConfig config;
  config.set_model_from_file(name);
  config.set_threads(threads);
  config.set_power_mode(lite::LITE_POWER_NO_BIND);
  config.set_x86_math_num_threads(threads);
  env->ReleaseStringUTFChars(file, name);
  const Predictor made = lite::CreatePaddlePredictor<lite::MobileConfig>(config);
  return made ? reinterpret_cast<jlong>(new Predictor(made)) : 0;
}

JNIEXPORT void JNICALL Java_com_baidu_paddle_lite_PaddlePredictor_release(JNIEnv*, jclass, jlong pointer) {
  delete &At(pointer);
}

JNIEXPORT jlong JNICALL Java_com_baidu_paddle_lite_PaddlePredictor_input(JNIEnv*, jclass, jlong pointer, jint i) {
  return reinterpret_cast<jlong>(At(pointer)->GetInput(i).release());
}

JNIEXPORT jlong JNICALL Java_com_baidu_paddle_lite_PaddlePredictor_output(JNIEnv*, jclass, jlong pointer, jint i) {
  return reinterpret_cast<jlong>(At(pointer)->GetOutput(i).release());
}

JNIEXPORT jboolean JNICALL Java_com_baidu_paddle_lite_PaddlePredictor_run(JNIEnv*, jclass, jlong pointer) {
  At(pointer)->Run();
  return JNI_TRUE;
}

JNIEXPORT jstring JNICALL Java_com_baidu_paddle_lite_PaddlePredictor_version(JNIEnv* env, jclass, jlong pointer) {
  return env->NewStringUTF(At(pointer)->GetVersion().c_str());
}

JNIEXPORT jboolean JNICALL Java_com_baidu_paddle_lite_Tensor_resize(JNIEnv* env, jclass, jlong pointer,
                                                                    jlongArray dims) {
  std::vector<jlong> sides(env->GetArrayLength(dims));
  env->GetLongArrayRegion(dims, 0, static_cast<jsize>(sides.size()), sides.data());
  Input(pointer)->Resize(std::vector<int64_t>(sides.begin(), sides.end()));
  return JNI_TRUE;
}

JNIEXPORT jboolean JNICALL Java_com_baidu_paddle_lite_Tensor_fill(JNIEnv* env, jclass, jlong pointer,
                                                                  jfloatArray values) {
  lite::Tensor* tensor = Input(pointer);
  if (env->GetArrayLength(values) != Size(tensor->shape())) return JNI_FALSE;
  env->GetFloatArrayRegion(values, 0, env->GetArrayLength(values), tensor->mutable_data<float>());
  return JNI_TRUE;
}

JNIEXPORT jlongArray JNICALL Java_com_baidu_paddle_lite_Tensor_shape(JNIEnv* env, jclass, jlong pointer,
                                                                     jboolean read_only) {
  const std::vector<int64_t> shape = read_only ? Output(pointer)->shape() : Input(pointer)->shape();
  const std::vector<jlong> sides(shape.begin(), shape.end());
  const jlongArray result = env->NewLongArray(static_cast<jsize>(sides.size()));
  if (result) env->SetLongArrayRegion(result, 0, static_cast<jsize>(sides.size()), sides.data());
  return result;
}

JNIEXPORT jfloatArray JNICALL Java_com_baidu_paddle_lite_Tensor_floats(JNIEnv* env, jclass, jlong pointer) {
  const lite::Tensor* tensor = Output(pointer);
  const auto size = static_cast<jsize>(Size(tensor->shape()));
  const jfloatArray result = env->NewFloatArray(size);
  if (result) env->SetFloatArrayRegion(result, 0, size, tensor->data<float>());
  return result;
}

}  // extern "C"
