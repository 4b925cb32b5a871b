package org.edgepose.core;

import org.json.JSONObject;

import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Frames and orders from several threads at once, in an order of chance, to a worker: engines are made, run and
 * closed by one thread, never more than two at once, and each frame is closed exactly once.
 */
final class Owners {
    private final AtomicInteger open = new AtomicInteger();
    private final AtomicInteger most = new AtomicInteger();
    private final AtomicInteger strangers = new AtomicInteger();
    private final AtomicInteger closedTwice = new AtomicInteger();
    private final AtomicInteger frames = new AtomicInteger();
    private final AtomicInteger closed = new AtomicInteger();
    private final AtomicInteger runs = new AtomicInteger();
    private final AtomicInteger results = new AtomicInteger();
    private final AtomicInteger failures = new AtomicInteger();
    private volatile Thread owner;

    private Owners() {}

    /** An engine that notes who uses it; now and then it fails. */
    private final class Watched implements Engine {
        private final int[] shape;
        private final Thread mine = Thread.currentThread();
        private final Random random;
        private boolean shut;

        Watched(int joints, long seed) {
            shape = new int[] {1, joints, 16, 12};
            random = new Random(seed);
            if (owner == null) {
                owner = mine;
            }
            strangers.addAndGet(owner == mine ? 0 : 1);
            int now = open.incrementAndGet();
            if (now > most.get()) {
                most.set(now);
            }
        }

        private void use() {
            strangers.addAndGet(Thread.currentThread() == mine && !shut ? 0 : 1);
        }

        @Override
        public float[][] run(float[] input, int height, int width) throws Problem {
            use();
            runs.incrementAndGet();
            if (random.nextInt(20) == 0) {
                throw new Problem(Sentence.MODEL_FAILED, "watched");
            }
            float[] maps = new float[shape[1] * shape[2] * shape[3]];
            for (int j = 0; j < shape[1]; j++) {
                maps[j * shape[2] * shape[3] + random.nextInt(shape[2] * shape[3])] = 0.9f;
            }
            return new float[][] {maps};
        }

        @Override
        public int[] shape(int i) {
            return shape;
        }

        @Override
        public String version() {
            return "watched";
        }

        @Override
        public void close() {
            use();
            closedTwice.addAndGet(shut ? 1 : 0);
            shut = true;
            open.decrementAndGet();
        }
    }

    private Pipeline pipeline(final Description pose, final long seed) throws Problem {
        return Pipeline.open(pose, pose.models.get(0), null, null, new Pipeline.Following(), 1, new Engine.Loader() {
            @Override
            public Engine load(Model model, int threads) {
                return new Watched(pose.joints.size(), seed);
            }
        });
    }

    static JSONObject run(long seed, int steps) throws Exception {
        return new Owners().go(seed, steps);
    }

    static Description pose; // set by the question that comes before

    private JSONObject go(long seed, final int steps) throws Exception {
        final Worker worker = new Worker(new Worker.Listener() {
            @Override
            public void ready(String version) {}

            @Override
            public void found(Worker.Result result) {
                results.incrementAndGet();
            }

            @Override
            public void failed(Problem problem) {
                failures.incrementAndGet();
            }

            @Override
            public void released() {}
        });
        final CountDownLatch done = new CountDownLatch(3);
        for (int t = 0; t < 3; t++) {
            final Random random = new Random(seed * 31 + t);
            new Thread(new Runnable() {
                @Override
                public void run() {
                    for (int i = 0; i < steps; i++) {
                        step(worker, random, i);
                    }
                    done.countDown();
                }
            }).start();
        }
        done.await();
        worker.end();
        worker.offer(frame(1e9)); // after the end it is closed at once
        worker.join();
        return new JSONObject().put("frames", frames.get()).put("closed", closed.get()).put("open", open.get())
                .put("most", most.get()).put("strangers", strangers.get()).put("closed_twice", closedTwice.get())
                .put("runs", runs.get()).put("results", results.get()).put("failures", failures.get());
    }

    private void step(Worker worker, final Random random, int i) {
        switch (random.nextInt(8)) {
            case 0:
                worker.load(new Worker.Opener() {
                    @Override
                    public Pipeline open() throws Problem {
                        if (random.nextInt(4) == 0) {
                            throw new Problem(Sentence.MODEL_DAMAGED, "by chance", "");
                        }
                        return pipeline(pose, random.nextLong());
                    }
                });
                break;
            case 1:
                worker.release();
                break;
            case 2:
                worker.set(new Pipeline.Following());
                break;
            case 3:
                worker.drop();
                break;
            case 4:
                worker.look(frame(i));
                break;
            default:
                worker.offer(frame(i));
        }
        if (random.nextInt(3) == 0) {
            Thread.yield();
        }
    }

    private Frame frame(double seconds) {
        frames.incrementAndGet();
        ByteBuffer y = ByteBuffer.allocateDirect(24 * 32);
        ByteBuffer chroma = ByteBuffer.allocateDirect(12 * 16);
        return Frame.yuv(24, 32, new ByteBuffer[] {y, chroma, chroma}, new int[] {24, 12, 12}, new int[] {1, 1, 1},
                90, false, seconds, false, new Runnable() {
                    @Override
                    public void run() {
                        closed.incrementAndGet();
                    }
                });
    }
}
