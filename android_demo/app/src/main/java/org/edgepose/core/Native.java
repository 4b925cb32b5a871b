package org.edgepose.core;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/**
 * The C++ pipeline, {@code pose/pose.h}, by JNI (pose_jni.cc). What is wrong with an argument is an
 * IllegalArgumentException; a handle must be one that {@link #open} gave, and is used by one thread at a time.
 *
 * <p>A frame is 11 numbers (format, width, height, rotation, range, three row strides, three pixel strides) and up
 * to three direct buffers that begin at position 0; {@link Frame} has them.
 */
final class Native {
    static final int OK = 0;
    static final int BAD_FRAME = 2;

    static {
        System.loadLibrary("pose_jni");
    }

    private Native() {}

    /**
     * Opens a pipeline.
     *
     * @param networks an object with the methods run(int, float[], int, int), data(int) and shape(int)
     * @param wholes pose width, height, crop, codec, decoding, blur, blur_y, grid; detector (0 or 1), width,
     *     height, person, aligned, most; detect_every, smooth; the detector's codec
     * @param reals pose mean, std; padding, split; detector mean, std, score, nms; sure, least, patience, cutoff,
     *     beta, constant
     * @param sigmas of the joints
     */
    static native long open(Object networks, int[] wholes, double[] reals, double[] sigmas);

    static native void close(long handle);

    /** Returns a pose_status. What {@code run} throws goes on to the caller. */
    static native int follow(long handle, int[] frame, ByteBuffer first, ByteBuffer second, ByteBuffer third,
            double seconds);

    /** The same for a single picture; boxes: four numbers each, or null: the detector says. */
    static native int look(long handle, int[] frame, ByteBuffer first, ByteBuffer second, ByteBuffer third,
            float[] boxes);

    /** For each: id, score, the detector's score, left, top, width, height, and x, y, score of each joint. */
    static native float[] people(long handle);

    /** Milliseconds of convert, resize, detector, boxes, crop, pose, decode, follow; detections; people. */
    static native double[] times(long handle);

    static native String message(long handle);

    static native void restart(long handle);

    /** reals: sure, least, patience, cutoff, beta, constant. */
    static native int setFollowing(long handle, int detectEvery, int smooth, double[] reals);

    /** detect_every, smooth, sure, least, patience, cutoff, beta, constant, box score: as `tinypose infer` has them. */
    static native double[] defaults();

    /** Writes the upright frame as RGBA, four bytes a pixel without gaps. */
    static native void upright(int[] frame, ByteBuffer first, ByteBuffer second, ByteBuffer third,
            ByteBuffer output);

    /** One crop, normalised: float [3, height, width]; matrix: image to crop, [2, 3]. */
    static native void crop(ByteBuffer image, int width, int height, int stride, int pixelBytes, double[] matrix,
            int cropWidth, int cropHeight, float[] mean, float[] std, FloatBuffer output);

    /** Heatmaps [joints, height, width] to x, y, score in heatmap pixels; method: 0 max, 1 shift, 2 DARK. */
    static native void decode(FloatBuffer maps, int joints, int height, int width, int method, int blur,
            float[] output);
}
