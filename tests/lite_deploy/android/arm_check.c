/* Loads the app's library for 64-bit ARM under an emulator and runs two parts of it on the files of a folder. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void* Read(const char* path, long* size) {
  FILE* file = fopen(path, "rb");
  if (!file) exit(3);
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  void* bytes = malloc(*size);
  if (fread(bytes, 1, *size, file) != (size_t)*size) exit(3);
  fclose(file);
  return bytes;
}

static void Write(const char* path, const void* bytes, size_t size) {
  FILE* file = fopen(path, "wb");
  if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) exit(3);
}

/* LIBRARY, then crop: IMAGE W H MATRIX CROP_W CROP_H OUT, then decode: MAPS JOINTS H W OUT. */
int main(int count, char** words) {
  void* library = count == 14 ? dlopen(words[1], RTLD_NOW) : NULL;
  if (!library) return fprintf(stderr, "%s\n", count == 14 ? dlerror() : "14 words are needed"), 1;
  void (*crop)(const unsigned char*, int, int, int, int, const double*, int, int, const float*, const float*,
               float*) = dlsym(library, "pose_crop_normalise");
  void (*decode)(const float*, int, int, int, int, int, float*) = dlsym(library, "pose_decode");
  if (!crop || !decode || !dlsym(library, "Java_org_edgepose_core_Native_follow")) return 2;
  const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
  long size;
  const int width = atoi(words[3]), height = atoi(words[4]), w = atoi(words[6]), h = atoi(words[7]);
  const unsigned char* image = Read(words[2], &size);
  const double* matrix = Read(words[5], &size);
  float* out = malloc(sizeof(float) * 3 * w * h);
  crop(image, width, height, 4 * width, 4, matrix, w, h, mean, std, out);
  Write(words[8], out, sizeof(float) * 3 * w * h);
  const float* maps = Read(words[9], &size);
  const int joints = atoi(words[10]);
  float* points = malloc(sizeof(float) * 3 * joints);
  decode(maps, joints, atoi(words[11]), atoi(words[12]), 2, 7, points);
  Write(words[13], points, sizeof(float) * 3 * joints);
  return 0;
}
