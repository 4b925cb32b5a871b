package org.edgepose.core;

import com.baidu.paddle.lite.ConfigBase;
import com.baidu.paddle.lite.MobileConfig;
import com.baidu.paddle.lite.PaddlePredictor;
import com.baidu.paddle.lite.PowerMode;
import com.baidu.paddle.lite.Tensor;

import java.io.File;

/** Paddle-Lite by its Java API. A model must have been checked ({@link NbFile}): the engine ends the process. */
public final class PaddleEngine implements Engine {
    private final String name;
    private final int count; // asking for an output that is not there would end the process
    private final Predictor predictor;
    private final Thread owner = Thread.currentThread();
    private final Tensor input;
    private Tensor[] outputs;
    private int height;
    private int width;

    /** A predictor that says whether it loaded, and that can be released at once and not by the collector. */
    private static final class Predictor extends PaddlePredictor {
        private boolean loaded; // no initialiser: it would come after the constructor that calls init

        Predictor(ConfigBase config) {
            super(config);
        }

        @Override
        protected boolean init(ConfigBase config) {
            loaded = super.init(config);
            return loaded;
        }

        void release() {
            clear();
        }
    }

    private PaddleEngine(Model model, int threads) throws Problem {
        name = model.name;
        count = model.outputs;
        if (!new File(model.path).canRead()) { // the engine would end the process
            throw new Problem(Sentence.MODEL_DAMAGED, model.name, "no such file");
        }
        MobileConfig config = new MobileConfig();
        config.setModelFromFile(model.path);
        config.setThreads(threads);
        config.setPowerMode(PowerMode.LITE_POWER_NO_BIND);
        Predictor made;
        try {
            made = new Predictor(config);
        } catch (LinkageError error) {
            throw new Problem(Sentence.NO_ENGINE);
        }
        input = made.loaded ? made.getInput(0) : null;
        if (input == null) {
            made.release();
            throw new Problem(Sentence.MODEL_FAILED, model.name);
        }
        predictor = made;
    }

    /** Loads a model. */
    public static Engine load(Model model, int threads) throws Problem {
        return new PaddleEngine(model, threads);
    }

    @Override
    public float[][] run(float[] values, int rows, int columns) throws Problem {
        mine();
        if (rows != height || columns != width) {
            input.resize(new long[] {1, 3, rows, columns});
            height = rows;
            width = columns;
        }
        if (!input.setData(values) || !predictor.run()) {
            throw new Problem(Sentence.MODEL_FAILED, name);
        }
        if (outputs == null) {
            outputs = findOutputs();
        }
        float[][] results = new float[outputs.length][];
        for (int i = 0; i < results.length; i++) {
            results[i] = outputs[i].getFloatData();
            if (results[i] == null) {
                throw new Problem(Sentence.MODEL_FAILED, name);
            }
        }
        return results;
    }

    private Tensor[] findOutputs() throws Problem {
        Tensor[] found = new Tensor[count];
        for (int i = 0; i < count; i++) {
            found[i] = predictor.getOutput(i);
            if (found[i] == null) {
                throw new Problem(Sentence.MODEL_FAILED, name);
            }
        }
        return found;
    }

    @Override
    public int[] shape(int i) {
        long[] shape = outputs[i].shape();
        int[] result = new int[shape.length];
        for (int d = 0; d < shape.length; d++) {
            result[d] = (int) shape[d];
        }
        return result;
    }

    @Override
    public String version() {
        return predictor.getVersion();
    }

    @Override
    public void close() {
        mine();
        predictor.release();
    }

    private void mine() {
        if (Thread.currentThread() != owner) {
            throw new IllegalStateException("an engine is used by a thread that is not its own");
        }
    }
}
