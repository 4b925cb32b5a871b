package org.edgepose.core;

/** Frames a second and milliseconds of each stage, over the last second or so: what the screen shows. */
public final class Rates {
    private static final double SECONDS = 1;
    private final double[] times = new double[8];
    private double last = Double.NaN;
    private double interval = Double.NaN;
    private double total;
    private long dropped;

    /** Takes a result; now: seconds of a clock that never goes back. */
    public synchronized void add(Worker.Result result, double now) {
        double since = now - last;
        boolean first = Double.isNaN(last) || since <= 0 || since > 3 * SECONDS; // begin anew after a pause
        double share = first ? 1 : Math.min(1, since / SECONDS);
        if (!first) {
            interval = Double.isNaN(interval) ? since : interval + share * (since - interval);
        } else {
            interval = Double.NaN;
        }
        double[] now8 = {result.times.convert, result.times.resize, result.times.detector, result.times.boxes,
            result.times.crop, result.times.pose, result.times.decode, result.times.follow};
        for (int i = 0; i < times.length; i++) {
            times[i] += share * (now8[i] - times[i]);
        }
        total += share * (result.times.total() - total);
        dropped += result.dropped;
        last = now;
    }

    /** Frames a second; NaN: not known yet. */
    public synchronized double framesPerSecond() {
        return 1 / interval;
    }

    /** Milliseconds of convert, resize, detector, boxes, crop, pose, decode, follow: a frame's mean. */
    public synchronized double[] stages() {
        return times.clone();
    }

    /** Milliseconds of a frame. */
    public synchronized double total() {
        return total;
    }

    /** Frames that came too fast since the beginning. */
    public synchronized long dropped() {
        return dropped;
    }
}
