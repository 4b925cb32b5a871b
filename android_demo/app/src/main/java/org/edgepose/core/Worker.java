package org.edgepose.core;

import java.util.ArrayDeque;

/**
 * The one thread that owns the engines: it loads, runs and closes them, and no other does. Of frames it keeps the
 * newest alone; those that come too fast are closed and counted, never queued.
 */
public final class Worker {
    /** What was found in a frame. */
    public static final class Result {
        public final Person[] people;
        public final Times times;
        public final double seconds;
        public final int width; // of the upright picture
        public final int height;
        public final boolean mirrored;
        public final long dropped; // frames since the last result
        public final Object tag; // the frame's

        Result(Person[] people, Times times, Frame frame, long dropped) {
            this.people = people;
            this.times = times;
            this.dropped = dropped;
            seconds = frame.seconds;
            tag = frame.tag;
            width = frame.uprightWidth();
            height = frame.uprightHeight();
            mirrored = frame.mirrored;
        }
    }

    /** Called on the worker's thread. */
    public interface Listener {
        void ready(String engineVersion);

        void found(Result result);

        void failed(Problem problem);

        void released();
    }

    /** Opens a pipeline, on the worker's thread. */
    public interface Opener {
        Pipeline open() throws Problem;
    }

    /** Something to do with the pipeline, on the worker's thread. */
    public interface Question {
        void ask(Pipeline pipeline) throws Problem;
    }

    private final Listener listener;
    private final Thread thread = new Thread(new Runnable() {
        @Override
        public void run() {
            work();
        }
    }, "engines");
    private final ArrayDeque<Runnable> jobs = new ArrayDeque<>();
    private Frame waiting;
    private long dropped;
    private boolean over;
    private Pipeline pipeline; // the worker's own

    public Worker(Listener listener) {
        this.listener = listener;
        thread.start();
    }

    /** Loads models, in place of those that are loaded. */
    public void load(final Opener opener) {
        post(new Runnable() {
            @Override
            public void run() {
                closePipeline();
                try {
                    pipeline = opener.open();
                    listener.ready(pipeline.engineVersion());
                } catch (Problem problem) {
                    listener.failed(problem);
                } catch (OutOfMemoryError error) {
                    listener.failed(new Problem(Sentence.MEMORY_LOW));
                }
            }
        });
    }

    /** Lets go of the engines. */
    public void release() {
        post(new Runnable() {
            @Override
            public void run() {
                closePipeline();
                listener.released();
            }
        });
    }

    /** Changes how people are followed, if a model is loaded. */
    public void set(final Pipeline.Following following) {
        ask(new Question() {
            @Override
            public void ask(Pipeline asked) throws Problem {
                asked.set(following);
            }
        });
    }

    /** Another video begins. */
    public void restart() {
        ask(new Question() {
            @Override
            public void ask(Pipeline asked) {
                asked.restart();
            }
        });
    }

    /** Does something with the pipeline, if there is one. */
    public void ask(final Question question) {
        post(new Runnable() {
            @Override
            public void run() {
                try {
                    if (pipeline != null) {
                        question.ask(pipeline);
                    }
                } catch (Problem problem) {
                    listener.failed(problem);
                }
            }
        });
    }

    /** Finds the people of a single picture. */
    public void look(final Frame frame) {
        post(new Runnable() {
            @Override
            public void run() {
                compute(frame, 0, false);
            }
        });
    }

    /** Does something else on the worker's thread, which may load engines of its own and must close them. */
    public synchronized void post(Runnable job) {
        if (!over) {
            jobs.add(job);
            notifyAll();
        }
    }

    /** Hands over a camera's frame; one that still waits is dropped for it. */
    public synchronized void offer(Frame frame) {
        if (over) {
            frame.close();
            return;
        }
        if (waiting != null) {
            waiting.close();
            dropped++;
        }
        waiting = frame;
        notifyAll();
    }

    /** Hands over a file's frame once the one before has been taken; false: the worker has ended. */
    public synchronized boolean put(Frame frame) throws InterruptedException {
        while (waiting != null && !over) {
            wait();
        }
        if (over) {
            frame.close();
            return false;
        }
        waiting = frame;
        notifyAll();
        return true;
    }

    /** Drops the frame that waits, if one does. */
    public synchronized void drop() {
        if (waiting != null) {
            waiting.close();
            waiting = null;
            notifyAll();
        }
    }

    /** Ends the thread after the jobs so far; engines are closed. */
    public void end() {
        synchronized (this) {
            over = true;
            drop();
            notifyAll();
        }
    }

    /** Waits for the end. */
    public void join() throws InterruptedException {
        thread.join();
    }

    private void work() {
        while (true) {
            Runnable job = null;
            Frame frame = null;
            long missed = 0;
            synchronized (this) {
                while (jobs.isEmpty() && waiting == null && !over) {
                    try {
                        wait();
                    } catch (InterruptedException error) {
                        over = true;
                    }
                }
                job = jobs.poll();
                if (job == null && waiting != null) {
                    frame = waiting;
                    waiting = null;
                    missed = dropped;
                    dropped = 0;
                    notifyAll();
                }
                if (job == null && frame == null) {
                    break; // over, and nothing left
                }
            }
            if (job != null) {
                job.run();
            } else {
                compute(frame, missed, true);
            }
        }
        closePipeline();
    }

    private void compute(Frame frame, long missed, boolean follows) {
        try {
            if (pipeline != null) {
                Person[] people = follows ? pipeline.follow(frame) : pipeline.look(frame, null);
                listener.found(new Result(people, pipeline.times(), frame, missed));
            }
        } catch (Problem problem) {
            listener.failed(problem);
        } catch (OutOfMemoryError error) {
            closePipeline();
            listener.failed(new Problem(Sentence.MEMORY_LOW));
        } finally {
            frame.close();
        }
    }

    private void closePipeline() {
        Pipeline old = pipeline;
        pipeline = null;
        if (old != null) {
            old.close();
        }
    }
}
