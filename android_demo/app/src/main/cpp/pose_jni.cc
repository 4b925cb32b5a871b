// pose.h for Java: org.edgepose.core.Native. Arrays of settings, frames and people are laid out as that class says.
#include <jni.h>

#include <vector>

#include "pose/c_api.h"
#include "pose/frame.h"
#include "pose/pose.h"

namespace {

constexpr int kMostOutputs = 4, kNetworks = 2;

struct Session;

// One network: a Java object computes it. Its input array is kept, its outputs are copied out of Java's memory.
struct Network {
  Session* session = nullptr;
  int which = 0;
  jfloatArray input = nullptr;
  std::vector<float> outputs[kMostOutputs];
};

// A pipeline and what its callbacks need; `env` is that of the call that is under way.
struct Session {
  pose_pipeline* pipeline = nullptr;
  jobject networks = nullptr;
  jmethodID run = nullptr, data = nullptr, shape = nullptr;
  int joints = 0;
  JNIEnv* env = nullptr;
  Network network[kNetworks];
};

Session* At(jlong handle) { return reinterpret_cast<Session*>(handle); }

void Throw(JNIEnv* env, const char* what) {
  const jclass kind = env->FindClass("java/lang/IllegalArgumentException");
  if (kind) env->ThrowNew(kind, what);
}

// Takes output `i` of the run that Java has just done; false if it cannot be one.
bool TakeOutput(Session* session, Network* network, int i, pose_tensor* output) {
  JNIEnv* env = session->env;
  const auto data = static_cast<jfloatArray>(env->CallObjectMethod(session->networks, session->data, i));
  if (env->ExceptionCheck() || !data) return false;
  const auto shape = static_cast<jintArray>(env->CallObjectMethod(session->networks, session->shape, i));
  if (env->ExceptionCheck() || !shape) return false;
  const int rank = env->GetArrayLength(shape);
  if (rank < 1 || rank > 4) return false;
  output->rank = rank;
  env->GetIntArrayRegion(shape, 0, rank, output->shape);
  int64_t size = 1;
  for (int d = 0; d < rank; ++d) {
    if (output->shape[d] < 1 || output->shape[d] > (1 << 24)) return false;
    size *= output->shape[d];
    if (size > (1 << 28)) return false;
  }
  if (size != env->GetArrayLength(data)) return false;
  network->outputs[i].resize(static_cast<size_t>(size));
  env->GetFloatArrayRegion(data, 0, static_cast<jsize>(size), network->outputs[i].data());
  output->data = network->outputs[i].data();
  env->DeleteLocalRef(data);
  env->DeleteLocalRef(shape);
  return true;
}

int Run(void* user, const float* input, int height, int width, pose_tensor* outputs) {
  auto* network = static_cast<Network*>(user);
  Session* session = network->session;
  JNIEnv* env = session->env;
  env->SetFloatArrayRegion(network->input, 0, 3 * height * width, input);
  const int count =
      env->CallIntMethod(session->networks, session->run, network->which, network->input, height, width);
  if (env->ExceptionCheck() || count < 1 || count > kMostOutputs) return 1;
  for (int i = 0; i < count; ++i)
    if (!TakeOutput(session, network, i, outputs + i)) return 1;
  return 0;
}

void Describe(const jint* size, const jdouble* normalisation, pose_network* network) {
  network->width = size[0];
  network->height = size[1];
  for (int c = 0; c < 3; ++c) {
    network->mean[c] = static_cast<float>(normalisation[c]);
    network->std[c] = static_cast<float>(normalisation[3 + c]);
  }
}

pose_following Following(int detect_every, int smooth, const jdouble* reals) {
  return {detect_every, reals[0], reals[1], reals[2], smooth, reals[3], reals[4], reals[5]};
}

constexpr int kWholes = 17, kReals = 22;

pose_settings Settings(const jint* whole, const jdouble* real, const std::vector<double>& sigmas) {
  pose_settings settings = pose_default_settings();
  Describe(whole, real, &settings.pose);
  pose_joints& joints = settings.joints;
  joints.joints = static_cast<int>(sigmas.size());
  joints.sigmas = sigmas.data();
  joints.crop = whole[2];
  joints.codec = whole[3];
  joints.decoding = whole[4];
  joints.blur = whole[5];
  joints.blur_y = whole[6];
  joints.grid = whole[7];
  joints.padding = real[6];
  joints.split = real[7];
  if (whole[8]) {
    Describe(whole + 9, real + 8, &settings.detector);
    settings.boxes = {whole[11], whole[12], static_cast<float>(real[14]), static_cast<float>(real[15]), whole[13],
                      whole[16]};
  }
  settings.following = Following(whole[14], whole[15], real + 16);
  return settings;
}

void Release(JNIEnv* env, Session* session) {
  pose_close(session->pipeline);
  for (Network& network : session->network)
    if (network.input) env->DeleteGlobalRef(network.input);
  if (session->networks) env->DeleteGlobalRef(session->networks);
  delete session;
}

// The array that a network's input is handed over in; false without memory, with Java's error pending.
bool MakeInput(JNIEnv* env, Session* session, int which, pose_network* settings) {
  Network* network = session->network + which;
  network->session = session;
  network->which = which;
  settings->run = Run;
  settings->user = network;
  if (settings->width < 1 || settings->height < 1 || settings->width > 8192 || settings->height > 8192) return true;
  const jfloatArray made = env->NewFloatArray(3 * settings->width * settings->height);
  if (!made) return false;
  network->input = static_cast<jfloatArray>(env->NewGlobalRef(made));
  env->DeleteLocalRef(made);
  return network->input != nullptr;
}

// A direct buffer's memory, if what a plane of so many rows and columns takes is in it.
const uint8_t* Plane(JNIEnv* env, jobject buffer, int rows, int columns, int row_stride, int pixel_stride, int bytes) {
  const auto* memory = buffer ? static_cast<const uint8_t*>(env->GetDirectBufferAddress(buffer)) : nullptr;
  const int64_t needed = int64_t{rows - 1} * row_stride + int64_t{columns - 1} * pixel_stride + bytes;
  const bool fits = row_stride > 0 && pixel_stride > 0 && rows > 0 && columns > 0;
  return memory && fits && env->GetDirectBufferCapacity(buffer) >= needed ? memory : nullptr;
}

// `numbers`: format, width, height, rotation, range, three row strides, three pixel strides.
bool ReadFrame(JNIEnv* env, jintArray numbers, jobject first, jobject second, jobject third, pose_frame* frame) {
  jint n[11];
  if (env->GetArrayLength(numbers) != 11) return Throw(env, "a frame: expected 11 numbers"), false;
  env->GetIntArrayRegion(numbers, 0, 11, n);
  *frame = pose_frame{};
  frame->format = n[0];
  frame->width = n[1];
  frame->height = n[2];
  frame->rotation = n[3];
  frame->range = n[4];
  if (n[1] < 1 || n[2] < 1 || n[1] > 32767 || n[2] > 32767)
    return Throw(env, "a frame: expected 1 to 32767 pixels a side"), false;
  const jobject buffers[3] = {first, second, third};
  const int planes = n[0] == POSE_YUV420 ? 3 : 1;
  const int bytes = n[0] == POSE_RGB ? 3 : n[0] == POSE_RGBA ? 4 : 1;
  for (int i = 0; i < planes; ++i) {
    frame->row_strides[i] = n[5 + i];
    frame->pixel_strides[i] = n[8 + i];
    const int width = i ? (n[1] + 1) / 2 : n[1], height = i ? (n[2] + 1) / 2 : n[2];
    frame->planes[i] = Plane(env, buffers[i], height, width, n[5 + i], n[8 + i], bytes);
    if (!frame->planes[i]) return Throw(env, "a frame: expected direct buffers that hold all of its pixels"), false;
  }
  return true;
}

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_org_edgepose_core_Native_open(JNIEnv* env, jclass, jobject networks, jintArray wholes,
                                                           jdoubleArray reals, jdoubleArray sigmas) {
  if (env->GetArrayLength(wholes) != kWholes || env->GetArrayLength(reals) != kReals)
    return Throw(env, "settings: not as many numbers as expected"), 0;
  jint whole[kWholes];
  jdouble real[kReals];
  std::vector<double> sigma(env->GetArrayLength(sigmas));
  env->GetIntArrayRegion(wholes, 0, kWholes, whole);
  env->GetDoubleArrayRegion(reals, 0, kReals, real);
  env->GetDoubleArrayRegion(sigmas, 0, static_cast<jsize>(sigma.size()), sigma.data());
  const jclass kind = env->GetObjectClass(networks);
  auto* session = new Session;
  session->run = env->GetMethodID(kind, "run", "(I[FII)I");
  session->data = session->run ? env->GetMethodID(kind, "data", "(I)[F") : nullptr;
  session->shape = session->data ? env->GetMethodID(kind, "shape", "(I)[I") : nullptr;
  session->networks = session->shape ? env->NewGlobalRef(networks) : nullptr;
  pose_settings settings = Settings(whole, real, sigma);
  session->joints = settings.joints.joints;
  const bool ready = session->networks && MakeInput(env, session, 0, &settings.pose) &&
                     (!whole[8] || MakeInput(env, session, 1, &settings.detector));
  const char* problem = "out of memory";
  if (ready) session->pipeline = pose_open(&settings, &problem);
  if (session->pipeline) return reinterpret_cast<jlong>(session);
  Release(env, session);
  if (!env->ExceptionCheck()) Throw(env, problem);
  return 0;
}

JNIEXPORT void JNICALL Java_org_edgepose_core_Native_close(JNIEnv* env, jclass, jlong handle) {
  Release(env, At(handle));
}

JNIEXPORT jint JNICALL Java_org_edgepose_core_Native_follow(JNIEnv* env, jclass, jlong handle, jintArray numbers,
                                                            jobject first, jobject second, jobject third,
                                                            jdouble time) {
  pose_frame frame;
  if (!ReadFrame(env, numbers, first, second, third, &frame)) return POSE_BAD_FRAME;
  At(handle)->env = env;
  return pose_follow(At(handle)->pipeline, &frame, time);
}

JNIEXPORT jint JNICALL Java_org_edgepose_core_Native_look(JNIEnv* env, jclass, jlong handle, jintArray numbers,
                                                          jobject first, jobject second, jobject third,
                                                          jfloatArray boxes) {
  pose_frame frame;
  if (!ReadFrame(env, numbers, first, second, third, &frame)) return POSE_BAD_FRAME;
  std::vector<float> places(boxes ? env->GetArrayLength(boxes) + 1 : 0);  // never empty: NULL asks the detector
  const int count = boxes ? static_cast<int>(places.size() - 1) / 4 : 0;
  if (boxes) env->GetFloatArrayRegion(boxes, 0, 4 * count, places.data());
  At(handle)->env = env;
  return pose_look(At(handle)->pipeline, &frame, boxes ? places.data() : nullptr, count);
}

JNIEXPORT jfloatArray JNICALL Java_org_edgepose_core_Native_people(JNIEnv* env, jclass, jlong handle) {
  int count = 0;
  const pose_person* people = pose_people(At(handle)->pipeline, &count);
  const int joints = At(handle)->joints;
  std::vector<float> values;
  values.reserve(static_cast<size_t>(count) * (7 + 3 * joints));
  for (int i = 0; i < count; ++i) {
    values.push_back(static_cast<float>(people[i].id));
    values.push_back(people[i].score);
    values.push_back(people[i].box_score);
    for (const float side : people[i].box) values.push_back(side);
    for (int k = 0; k < 3 * joints; ++k) values.push_back(people[i].keypoints[k]);
  }
  const jfloatArray result = env->NewFloatArray(static_cast<jsize>(values.size()));
  if (result) env->SetFloatArrayRegion(result, 0, static_cast<jsize>(values.size()), values.data());
  return result;
}

JNIEXPORT jdoubleArray JNICALL Java_org_edgepose_core_Native_times(JNIEnv* env, jclass, jlong handle) {
  const pose_times t = pose_last_times(At(handle)->pipeline);
  const jdouble values[10] = {t.convert, t.resize, t.detector, t.boxes, t.crop, t.pose, t.decode, t.follow,
                              static_cast<double>(t.detections), static_cast<double>(t.people)};
  const jdoubleArray result = env->NewDoubleArray(10);
  if (result) env->SetDoubleArrayRegion(result, 0, 10, values);
  return result;
}

JNIEXPORT jstring JNICALL Java_org_edgepose_core_Native_message(JNIEnv* env, jclass, jlong handle) {
  return env->NewStringUTF(pose_message(At(handle)->pipeline));
}

JNIEXPORT void JNICALL Java_org_edgepose_core_Native_restart(JNIEnv*, jclass, jlong handle) {
  pose_restart(At(handle)->pipeline);
}

JNIEXPORT jint JNICALL Java_org_edgepose_core_Native_setFollowing(JNIEnv* env, jclass, jlong handle,
                                                                  jint detect_every, jint smooth,
                                                                  jdoubleArray reals) {
  jdouble real[6];
  if (env->GetArrayLength(reals) != 6) return POSE_BAD_SETTINGS;
  env->GetDoubleArrayRegion(reals, 0, 6, real);
  const pose_following following = Following(detect_every, smooth, real);
  return pose_set_following(At(handle)->pipeline, &following);
}

JNIEXPORT jdoubleArray JNICALL Java_org_edgepose_core_Native_defaults(JNIEnv* env, jclass) {
  const pose_settings settings = pose_default_settings();
  const pose_following& f = settings.following;
  const jdouble values[9] = {static_cast<double>(f.detect_every), static_cast<double>(f.smooth), f.sure, f.least,
                             f.patience, f.cutoff, f.beta, f.constant, settings.boxes.score};
  const jdoubleArray result = env->NewDoubleArray(9);
  if (result) env->SetDoubleArrayRegion(result, 0, 9, values);
  return result;
}

// Upright RGBA, for a picture on the screen: 4 bytes a pixel without gaps.
JNIEXPORT void JNICALL Java_org_edgepose_core_Native_upright(JNIEnv* env, jclass, jintArray numbers, jobject first,
                                                             jobject second, jobject third, jobject output) {
  pose_frame frame;
  if (!ReadFrame(env, numbers, first, second, third, &frame)) return;
  if (const char* wrong = pose::WrongWith(frame)) return Throw(env, wrong);
  auto* out = static_cast<uint8_t*>(env->GetDirectBufferAddress(output));
  if (!out || env->GetDirectBufferCapacity(output) < int64_t{4} * frame.width * frame.height)
    return Throw(env, "a picture: expected a direct buffer of four bytes a pixel");
  pose::Upright upright;
  const pose::Image image = upright(frame);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* row = image.data + static_cast<int64_t>(y) * image.stride;
    for (int x = 0; x < image.width; ++x, row += image.pixel_bytes, out += 4) {
      out[0] = row[0];
      out[1] = row[1];
      out[2] = row[2];
      out[3] = 255;
    }
  }
}

// The parts that a test compares with Python's, also as ARM code.
JNIEXPORT void JNICALL Java_org_edgepose_core_Native_crop(JNIEnv* env, jclass, jobject image, jint width, jint height,
                                                          jint stride, jint bytes, jdoubleArray matrix,
                                                          jint crop_width, jint crop_height, jfloatArray mean,
                                                          jfloatArray std, jobject output) {
  jdouble m[6];
  jfloat mu[3], sigma[3];
  env->GetDoubleArrayRegion(matrix, 0, 6, m);
  env->GetFloatArrayRegion(mean, 0, 3, mu);
  env->GetFloatArrayRegion(std, 0, 3, sigma);
  if (env->ExceptionCheck()) return;
  auto* out = static_cast<float*>(env->GetDirectBufferAddress(output));
  const uint8_t* pixels = Plane(env, image, height, width, stride, bytes, bytes);
  if (!pixels || !out || env->GetDirectBufferCapacity(output) < int64_t{3} * crop_width * crop_height)
    return Throw(env, "direct buffers of the right size are needed");
  pose_crop_normalise(pixels, width, height, stride, bytes, m, crop_width, crop_height, mu, sigma, out);
}

JNIEXPORT void JNICALL Java_org_edgepose_core_Native_decode(JNIEnv* env, jclass, jobject maps, jint joints,
                                                            jint height, jint width, jint method, jint blur,
                                                            jfloatArray output) {
  const auto* values = static_cast<const float*>(env->GetDirectBufferAddress(maps));
  const int64_t size = int64_t{joints} * height * width;
  if (!values || env->GetDirectBufferCapacity(maps) < size || env->GetArrayLength(output) != 3 * joints)
    return Throw(env, "a direct buffer and room for three floats a joint are needed");
  std::vector<float> points(3 * joints);
  pose_decode(values, joints, height, width, method, blur, points.data());
  env->SetFloatArrayRegion(output, 0, 3 * joints, points.data());
}

}  // extern "C"
