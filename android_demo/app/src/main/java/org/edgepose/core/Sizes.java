package org.edgepose.core;

/** Which of a camera's sizes to take. */
public final class Sizes {
    private Sizes() {}

    /**
     * The size for the networks: that with an area nearest to the one wanted; of equals the first.
     *
     * @param sizes width, height of each
     */
    public static int[] nearest(int[][] sizes, int width, int height) {
        int[] best = null;
        double least = Double.MAX_VALUE;
        for (int[] each : sizes) {
            double off = Math.abs(Math.log((double) each[0] * each[1] / ((double) width * height)));
            // Of the same area the one of the wanted ratio.
            off += 0.1 * Math.abs(Math.log((double) each[0] * height / ((double) each[1] * width)));
            if (off < least) {
                least = off;
                best = each;
            }
        }
        return best;
    }

    /**
     * The size for the preview: the largest of the very ratio of the networks' frames, so that both show the same
     * part of the world, and not larger than the screen needs; else the frames' own size.
     */
    public static int[] preview(int[][] sizes, int[] frame, int longest) {
        int[] best = null;
        for (int[] each : sizes) {
            boolean same = (long) each[0] * frame[1] == (long) each[1] * frame[0];
            if (same && Math.max(each[0], each[1]) <= longest && (best == null || each[0] > best[0])) {
                best = each;
            }
        }
        return best == null ? frame : best;
    }
}
