package com.baidu.paddle.lite;

/** Stands in for Paddle-Lite's class of this name; see PaddlePredictor. */
public class Tensor {
    private final long pointer;
    private final boolean readOnly;
    private final PaddlePredictor predictor; // kept as long as the tensor

    protected Tensor(long pointer, boolean readOnly, PaddlePredictor predictor) {
        this.pointer = pointer;
        this.readOnly = readOnly;
        this.predictor = predictor;
    }

    public boolean resize(long[] dims) {
        return !readOnly && resize(pointer, dims);
    }

    public boolean setData(float[] values) {
        return !readOnly && fill(pointer, values);
    }

    public long[] shape() {
        return shape(pointer, readOnly);
    }

    public float[] getFloatData() {
        return floats(pointer);
    }

    private static native boolean resize(long pointer, long[] dims);

    private static native boolean fill(long pointer, float[] values);

    private static native long[] shape(long pointer, boolean readOnly);

    private static native float[] floats(long pointer);
}
