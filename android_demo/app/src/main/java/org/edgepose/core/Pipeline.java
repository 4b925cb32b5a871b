package org.edgepose.core;

/**
 * The C++ pipeline with its two engines. It belongs to the thread that opened it: that one alone runs and closes it,
 * and with it the engines.
 */
public final class Pipeline {
    private final Networks networks;
    private final int joints;
    private final Thread owner = Thread.currentThread();
    private long handle;

    /** How people are followed. */
    public static final class Following {
        public int detectEvery;
        public int smooth; // 0 one euro, 1 EMA, 2 none
        private final double boxScore; // boxes that score no more are not looked at; pose.json's is for measuring
        private final double[] reals = new double[6];

        /** As `tinypose infer` has it. */
        public Following() {
            double[] values = Native.defaults();
            detectEvery = (int) values[0];
            smooth = (int) values[1];
            System.arraycopy(values, 2, reals, 0, 6);
            boxScore = values[8];
        }
    }

    /** What the pipeline calls: engine 0 is the pose network's, 1 the detector's. */
    private static final class Networks {
        final Engine[] engines = new Engine[2];
        private float[][] outputs;
        private Engine last;

        /** Called from C++; an exception goes through it to the caller of follow or look. */
        @SuppressWarnings("unused")
        int run(int which, float[] input, int height, int width) throws Problem {
            last = engines[which];
            outputs = last.run(input, height, width);
            return outputs.length;
        }

        @SuppressWarnings("unused")
        float[] data(int i) {
            return outputs[i];
        }

        @SuppressWarnings("unused")
        int[] shape(int i) {
            return last.shape(i);
        }

        void close() {
            for (Engine each : engines) {
                if (each != null) {
                    each.close();
                }
            }
        }
    }

    private Pipeline(Networks networks, int joints) {
        this.networks = networks;
        this.joints = joints;
    }

    /**
     * Loads both networks and opens the pipeline. The models' files are checked first.
     *
     * @param detector null, with its model: the whole picture is one person
     */
    public static Pipeline open(Description pose, Model model, Description detector, Model detectorModel,
            Following following, int threads, Engine.Loader loader) throws Problem {
        NbFile.check(model);
        if (detector != null) {
            NbFile.check(detectorModel);
        }
        Networks networks = new Networks();
        Pipeline pipeline = new Pipeline(networks, pose.joints.size());
        try {
            networks.engines[0] = loader.load(model, threads);
            if (detector != null) {
                networks.engines[1] = loader.load(detectorModel, threads);
            }
            pipeline.handle = Native.open(networks, wholes(pose, detector, following),
                    reals(pose, detector, following), pose.sigmas);
        } catch (IllegalArgumentException error) {
            networks.close();
            throw new Problem(Sentence.RUN_FAILED, error.getMessage());
        } catch (Problem | Error | RuntimeException error) {
            networks.close();
            throw error;
        }
        return pipeline;
    }

    private static int[] wholes(Description pose, Description detector, Following following) {
        boolean has = detector != null;
        return new int[] {pose.width, pose.height, pose.crop, pose.codec, pose.decoding, pose.blur, pose.blurY, pose.grid,
            has ? 1 : 0, has ? detector.width : 0, has ? detector.height : 0, has ? detector.person : 0,
            has ? detector.aligned : 0, has ? detector.most : 0, following.detectEvery, following.smooth,
            has ? detector.codec : 0};
    }

    private static double[] reals(Description pose, Description detector, Following following) {
        double[] values = new double[22];
        System.arraycopy(pose.normalisation, 0, values, 0, 6);
        values[6] = pose.padding;
        values[7] = pose.split;
        if (detector != null) {
            System.arraycopy(detector.normalisation, 0, values, 8, 6);
            values[14] = following.boxScore;
            values[15] = detector.nms;
        }
        System.arraycopy(following.reals, 0, values, 16, 6);
        return values;
    }

    /** The people of a video's next frame, with ids. */
    public Person[] follow(Frame frame) throws Problem {
        mine();
        return people(Native.follow(handle, frame.numbers, frame.planes[0], frame.planes[1], frame.planes[2],
                frame.seconds));
    }

    /** The people of a single picture; boxes: where to look, four numbers each, or null: the detector says. */
    public Person[] look(Frame frame, float[] boxes) throws Problem {
        mine();
        return people(Native.look(handle, frame.numbers, frame.planes[0], frame.planes[1], frame.planes[2], boxes));
    }

    private Person[] people(int status) throws Problem {
        if (status != Native.OK) {
            throw new Problem(Sentence.RUN_FAILED, Native.message(handle));
        }
        return Person.all(Native.people(handle), joints);
    }

    public Times times() {
        mine();
        return new Times(Native.times(handle));
    }

    /** What the network that ran last gave. */
    float[][] outputs() {
        return networks.outputs;
    }

    /** Changes how people are followed; ids stay. */
    public void set(Following following) throws Problem {
        mine();
        if (Native.setFollowing(handle, following.detectEvery, following.smooth, following.reals) != Native.OK) {
            throw new Problem(Sentence.RUN_FAILED, Native.message(handle));
        }
    }

    /** Another video: ids from 1. */
    public void restart() {
        mine();
        Native.restart(handle);
    }

    /** The pose network's engine's version. */
    public String engineVersion() {
        return networks.engines[0].version();
    }

    public void close() {
        mine();
        Native.close(handle);
        handle = 0;
        networks.close();
    }

    private void mine() {
        if (Thread.currentThread() != owner || handle == 0) {
            throw new IllegalStateException("a pipeline is used by a thread that is not its own, or after its end");
        }
    }
}
