package com.baidu.paddle.lite;

/**
 * Stands in for the class of this name in Paddle-Lite's PaddlePredictor.jar: the part of its interface that the app
 * uses. The app is compiled against this and never contains it; `lite-deploy android` adds the real ones. On a plain
 * JVM its natives (paddle_standin.cc) run Paddle-Lite v2.13-rc for x86-64, so the app's own engine class is tested.
 */
public class PaddlePredictor {
    private long pointer;

    public PaddlePredictor(ConfigBase config) {
        init(config);
    }

    protected boolean init(ConfigBase config) {
        MobileConfig mobile = (MobileConfig) config;
        pointer = load(mobile.file, mobile.threads);
        return pointer != 0;
    }

    public Tensor getInput(int offset) {
        return new Tensor(input(pointer, offset), false, this);
    }

    public Tensor getOutput(int offset) {
        return new Tensor(output(pointer, offset), true, this);
    }

    public boolean run() {
        return run(pointer);
    }

    public String getVersion() {
        return version(pointer);
    }

    protected boolean clear() {
        if (pointer == 0) {
            return false;
        }
        release(pointer);
        pointer = 0;
        return true;
    }

    private static native long load(String file, int threads);

    private static native void release(long pointer);

    private static native long input(long pointer, int offset);

    private static native long output(long pointer, int offset);

    private static native boolean run(long pointer);

    private static native String version(long pointer);

    static {
        System.loadLibrary("paddle_lite_jni");
    }
}
