package org.edgepose.core;

/** Milliseconds that the stages of one frame took. */
public final class Times {
    public final double convert;
    public final double resize;
    public final double detector;
    public final double boxes;
    public final double crop;
    public final double pose;
    public final double decode;
    public final double follow;
    public final int detections; // how often the detector ran: 0 or 1
    public final int people; // how often the pose network ran

    Times(double[] values) {
        convert = values[0];
        resize = values[1];
        detector = values[2];
        boxes = values[3];
        crop = values[4];
        pose = values[5];
        decode = values[6];
        follow = values[7];
        detections = (int) values[8];
        people = (int) values[9];
    }

    public double total() {
        return convert + resize + detector + boxes + crop + pose + decode + follow;
    }
}
