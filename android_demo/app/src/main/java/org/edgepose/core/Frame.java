package org.edgepose.core;

import java.nio.ByteBuffer;

/**
 * A picture in direct buffers, as {@code pose_frame}: RGB, RGBA or YUV 4:2:0 with any strides. {@link #close} gives
 * the memory back to where it came from (a camera's image); a frame is closed exactly once.
 */
public final class Frame {
    public static final int RGB = 0;
    public static final int RGBA = 1;
    public static final int YUV420 = 2;

    public final int width; // as stored
    public final int height;
    public final int rotation; // clockwise, to be upright: 0, 90, 180 or 270
    public final double seconds; // its time
    public final boolean mirrored; // of the front camera: shown mirrored, computed as it is
    public Object tag; // whatever belongs to it, for whom it comes back to with the result
    final int[] numbers;
    final ByteBuffer[] planes = new ByteBuffer[3];
    private Runnable back;

    private Frame(int format, int width, int height, int rotation, boolean limited, double seconds, boolean mirrored,
            ByteBuffer[] planes, int[] rows, int[] pixels, Runnable back) {
        this.width = width;
        this.height = height;
        this.rotation = rotation;
        this.seconds = seconds;
        this.mirrored = mirrored;
        this.back = back;
        numbers = new int[11];
        numbers[0] = format;
        numbers[1] = width;
        numbers[2] = height;
        numbers[3] = rotation;
        numbers[4] = limited ? 1 : 0;
        for (int i = 0; i < planes.length; i++) {
            this.planes[i] = planes[i];
            numbers[5 + i] = rows[i];
            numbers[8 + i] = pixels[i];
        }
    }

    /** YUV_420_888 as Android gives it: three planes with strides. limited: 16 to 235, as most video files. */
    public static Frame yuv(int width, int height, ByteBuffer[] planes, int[] rowStrides, int[] pixelStrides,
            int rotation, boolean limited, double seconds, boolean mirrored, Runnable back) {
        return new Frame(YUV420, width, height, rotation, limited, seconds, mirrored, planes, rowStrides,
                pixelStrides, back);
    }

    /** Interleaved bytes, three or four a pixel, without gaps, upright. */
    public static Frame interleaved(int bytes, int width, int height, ByteBuffer pixels, double seconds) {
        return new Frame(bytes == 3 ? RGB : RGBA, width, height, 0, false, seconds, false,
                new ByteBuffer[] {pixels}, new int[] {bytes * width}, new int[] {bytes}, null);
    }

    /** Width of the upright picture. */
    public int uprightWidth() {
        return rotation % 180 == 0 ? width : height;
    }

    /** Height of the upright picture. */
    public int uprightHeight() {
        return rotation % 180 == 0 ? height : width;
    }

    /** Writes the upright picture as RGBA into a direct buffer of four bytes a pixel. */
    public void toRgba(ByteBuffer output) {
        Native.upright(numbers, planes[0], planes[1], planes[2], output);
    }

    /** Gives the memory back. */
    public void close() {
        Runnable give = back;
        back = null;
        if (give != null) {
            give.run();
        }
    }
}
