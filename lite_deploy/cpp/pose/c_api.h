/* The same in C, for callers that load a shared library: ctypes, JNI, Dart. Layouts as in the C++ headers. */
#ifndef POSE_C_API_H_
#define POSE_C_API_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes float [3, height, width]; see pose::CropNormalise. `matrix` is six doubles, image to crop. */
void pose_crop_normalise(const uint8_t* image, int image_width, int image_height, int stride, int pixel_bytes,
                         const double* matrix, int width, int height, const float* mean, const float* std,
                         float* output);

/* Writes float [joints, 3] (x, y, score) in heatmap pixels; `method` is 0 max, 1 shift, 2 DARK. */
void pose_decode(const float* heatmaps, int joints, int height, int width, int method, int blur, float* output);

#ifdef __cplusplus
}
#endif

#endif /* POSE_C_API_H_ */
