package org.edgepose.core;

/**
 * Where the pixels of a camera's picture are on the screen: one rule for preview and overlay. Angles are degrees; a
 * turn is clockwise as seen on the screen. Pixels of the picture are those of the upright frame that the pipeline
 * sees, whole numbers at pixel centres; the view's are edges, as a Canvas has them.
 *
 * <p>The front camera's picture is shown mirrored. Nothing but this class knows of it: the pipeline sees the picture
 * as the camera gives it, so left stays left.
 */
public final class Transform {
    /** view x = matrix[0] x + matrix[1] y + matrix[2], view y = matrix[3] x + matrix[4] y + matrix[5]. */
    public final double[] matrix;
    /** View pixels a picture pixel. */
    public final double scale;

    private Transform(double[] matrix, double scale) {
        this.matrix = matrix;
        this.scale = scale;
    }

    /**
     * By how much a camera's frame is to be turned to be upright on the screen.
     *
     * @param sensor of the camera (SENSOR_ORIENTATION): 0, 90, 180 or 270
     * @param display of the screen against its natural side (Display.getRotation times 90), counter-clockwise
     * @param front whether the camera looks to where the user is
     */
    public static int frameRotation(int sensor, int display, boolean front) {
        return turn(front ? sensor + display : sensor - display);
    }

    /**
     * From the upright picture to a view.
     *
     * @param fill whether the view is filled and what is over cut off; else the whole picture is in it
     */
    public static Transform of(int width, int height, double viewWidth, double viewHeight, boolean fill,
            boolean mirrored) {
        double[] place = place(width, height, viewWidth, viewHeight, fill);
        double scale = place[2] / width;
        double left = place[0] + scale * 0.5;
        double top = place[1] + scale * 0.5;
        return mirrored
                ? new Transform(new double[] {-scale, 0, place[0] + place[2] - scale * 0.5, 0, scale, top}, scale)
                : new Transform(new double[] {scale, 0, left, 0, scale, top}, scale);
    }

    public double x(double x, double y) {
        return matrix[0] * x + matrix[1] * y + matrix[2];
    }

    public double y(double x, double y) {
        return matrix[3] * x + matrix[4] * y + matrix[5];
    }

    /**
     * What a TextureView has to be given (setTransform). By itself it fills the view with the camera's picture turned
     * by the sensor's angle, mirrored for the front camera: right for the screen's natural side and a view of just
     * its ratio, and for nothing else.
     *
     * @param uprightWidth of the preview as it is to be seen
     * @param uprightHeight the same
     * @return six numbers as {@link #matrix}, from the view's pixels to the view's pixels
     */
    public static double[] textureMatrix(int uprightWidth, int uprightHeight, double viewWidth, double viewHeight,
            boolean fill, int display) {
        double[] place = place(uprightWidth, uprightHeight, viewWidth, viewHeight, fill);
        // Turned back by the display's angle, around the middle of the unit square: (u, v) to (a u + b v + c, ...).
        double a, b, c, d, e, f;
        switch (turn(display)) {
            case 90: // counter-clockwise: what is right comes to the top
                a = 0; b = 1; c = 0; d = -1; e = 0; f = 1;
                break;
            case 180:
                a = -1; b = 0; c = 1; d = 0; e = -1; f = 1;
                break;
            case 270:
                a = 0; b = -1; c = 1; d = 1; e = 0; f = 0;
                break;
            default:
                a = 1; b = 0; c = 0; d = 0; e = 1; f = 0;
        }
        return new double[] {
            a * place[2] / viewWidth, b * place[2] / viewHeight, place[0] + c * place[2],
            d * place[3] / viewWidth, e * place[3] / viewHeight, place[1] + f * place[3]};
    }

    /** An angle between 0 and 359 (Math.floorMod came with API 24). */
    private static int turn(int degrees) {
        return (degrees % 360 + 360) % 360;
    }

    /** Left, top, width and height of a picture in the middle of a view. */
    static double[] place(int width, int height, double viewWidth, double viewHeight, boolean fill) {
        double across = viewWidth / width;
        double down = viewHeight / height;
        double scale = fill ? Math.max(across, down) : Math.min(across, down);
        return new double[] {(viewWidth - scale * width) / 2, (viewHeight - scale * height) / 2, scale * width,
            scale * height};
    }
}
