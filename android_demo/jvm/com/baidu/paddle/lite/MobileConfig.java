package com.baidu.paddle.lite;

/** Stands in for Paddle-Lite's class of this name; see PaddlePredictor. */
public class MobileConfig extends ConfigBase {
    String file;
    int threads = 1;

    public void setModelFromFile(String modelFile) {
        file = modelFile;
    }

    public void setThreads(int count) {
        threads = count;
    }

    public void setPowerMode(PowerMode mode) {}
}
