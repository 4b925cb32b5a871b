package org.edgepose.core;

/** A network that is loaded. It belongs to the thread that loaded it: no other may run or close it. */
public interface Engine {
    /**
     * Computes the outputs.
     *
     * @param input float [1, 3, height, width], row-major
     * @return each output's values
     * @throws Problem the engine says that it failed
     */
    float[][] run(float[] input, int height, int width) throws Problem;

    /** The shape of output {@code i} of the last run. */
    int[] shape(int i);

    /** The engine's own version. */
    String version();

    void close();

    /** Loads a model. */
    interface Loader {
        Engine load(Model model, int threads) throws Problem;
    }
}
