package org.edgepose.app;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.media.Image;
import android.media.MediaCodec;
import android.media.MediaCodecInfo;
import android.media.MediaExtractor;
import android.media.MediaFormat;
import android.net.Uri;

import org.edgepose.core.Files;
import org.edgepose.core.Frame;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/** A picture or a video of the user's: read on a thread of its own, which ends when it is asked to. */
final class FileSource {
    private static final int LONGEST = 2048; // pixels a side: larger pictures are read smaller
    private static final long PATIENCE = 10000; // microseconds to wait for the decoder

    /** What comes of it; on the source's thread. */
    interface Listener {
        /** A whole picture. */
        void onPicture(Frame frame, Bitmap shown);

        /** A video's frame; false: enough. */
        boolean onVideoFrame(Frame frame) throws InterruptedException;

        void onReady();

        void onEnded();

        void onUnreadable();

        /** The last that is heard of it. */
        void onClosed();
    }

    private final Context context;
    private final Uri address;
    private final Listener listener;
    private final Thread thread;
    private volatile boolean over;

    FileSource(Context context, Uri address, final boolean video, Listener listener) {
        this.context = context;
        this.address = address;
        this.listener = listener;
        thread = new Thread(new Runnable() {
            @Override
            public void run() {
                read(video);
            }
        }, "file");
        thread.start();
    }

    void close() {
        over = true;
        thread.interrupt();
    }

    private void read(boolean video) {
        try {
            if (video) {
                video();
            } else {
                picture();
            }
        } catch (InterruptedException error) {
            // It was asked to end.
        } catch (IOException | RuntimeException | OutOfMemoryError error) {
            if (!over) { // decoders throw of their own kind on damaged files
                listener.onUnreadable();
            }
        } finally {
            listener.onClosed();
        }
    }

    /** A picture, upright as its EXIF data says, and not larger than the screen needs. */
    private void picture() throws IOException, InterruptedException {
        File copy = copy();
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        BitmapFactory.decodeFile(copy.getPath(), options);
        options.inJustDecodeBounds = false;
        options.inSampleSize = 1;
        while (Math.max(options.outWidth, options.outHeight) / options.inSampleSize > LONGEST) {
            options.inSampleSize *= 2;
        }
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        Bitmap stored = BitmapFactory.decodeFile(copy.getPath(), options);
        if (stored == null) {
            throw new IOException("not a picture");
        }
        int orientation = new ExifInterface(copy.getPath()).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1);
        Bitmap upright = upright(stored, orientation);
        listener.onReady();
        listener.onPicture(frame(upright), upright);
        while (!over) {
            Thread.sleep(60000); // it stays on the screen until something else is looked at
        }
    }

    private static Bitmap upright(Bitmap stored, int orientation) {
        int[] turns = {0, 0, 0, 180, 180, 90, 90, 270, 270}; // by EXIF's numbers; 2, 4, 5 and 7 are mirrored as well
        boolean mirrored = orientation == 2 || orientation == 4 || orientation == 5 || orientation == 7;
        if (orientation < 2 || orientation > 8) {
            return stored;
        }
        Matrix matrix = new Matrix();
        matrix.postRotate(turns[orientation]);
        if (mirrored) {
            matrix.postScale(-1, 1);
        }
        return Bitmap.createBitmap(stored, 0, 0, stored.getWidth(), stored.getHeight(), matrix, true);
    }

    static Frame frame(Bitmap bitmap) {
        Bitmap plain = bitmap.getConfig() == Bitmap.Config.ARGB_8888 ? bitmap
                : bitmap.copy(Bitmap.Config.ARGB_8888, false);
        ByteBuffer pixels = ByteBuffer.allocateDirect(plain.getRowBytes() * plain.getHeight());
        plain.copyPixelsToBuffer(pixels); // R, G, B, A in memory, whatever the configuration is called
        return Frame.interleaved(4, plain.getWidth(), plain.getHeight(), pixels, 0);
    }

    /** A copy of the file: what other apps hand over can often be read once only. */
    private File copy() throws IOException {
        File copy = new File(context.getCacheDir(), "opened");
        try (InputStream in = context.getContentResolver().openInputStream(address);
                FileOutputStream out = new FileOutputStream(copy)) {
            if (in == null) {
                throw new IOException("not there");
            }
            out.write(Files.bytes(in));
        }
        return copy;
    }

    private void video() throws IOException, InterruptedException {
        MediaExtractor extractor = new MediaExtractor();
        MediaCodec codec = null;
        try {
            extractor.setDataSource(context, address, null);
            MediaFormat format = select(extractor);
            format.setInteger(MediaFormat.KEY_COLOR_FORMAT,
                    MediaCodecInfo.CodecCapabilities.COLOR_FormatYUV420Flexible);
            int rotation = format.containsKey(MediaFormat.KEY_ROTATION)
                    ? format.getInteger(MediaFormat.KEY_ROTATION) : 0;
            codec = MediaCodec.createDecoderByType(format.getString(MediaFormat.KEY_MIME));
            codec.configure(format, null, null, 0);
            codec.start();
            listener.onReady();
            decode(extractor, codec, rotation);
            if (!over) {
                listener.onEnded();
            }
        } finally {
            if (codec != null) {
                codec.release();
            }
            extractor.release();
        }
        while (!over) {
            Thread.sleep(60000); // its last frame stays on the screen
        }
    }

    private static MediaFormat select(MediaExtractor extractor) throws IOException {
        for (int i = 0; i < extractor.getTrackCount(); i++) {
            MediaFormat format = extractor.getTrackFormat(i);
            String kind = format.getString(MediaFormat.KEY_MIME);
            if (kind != null && kind.startsWith("video/")) {
                extractor.selectTrack(i);
                return format;
            }
        }
        throw new IOException("no video in it");
    }

    private void decode(MediaExtractor extractor, MediaCodec codec, int rotation) throws InterruptedException {
        MediaCodec.BufferInfo info = new MediaCodec.BufferInfo();
        boolean fed = false;
        while (!over) {
            int in = fed ? -1 : codec.dequeueInputBuffer(PATIENCE);
            if (in >= 0) {
                int size = extractor.readSampleData(codec.getInputBuffer(in), 0);
                fed = size < 0;
                codec.queueInputBuffer(in, 0, Math.max(0, size), fed ? 0 : extractor.getSampleTime(),
                        fed ? MediaCodec.BUFFER_FLAG_END_OF_STREAM : 0);
                extractor.advance();
            }
            int out = codec.dequeueOutputBuffer(info, PATIENCE);
            if (out >= 0) {
                boolean last = (info.flags & MediaCodec.BUFFER_FLAG_END_OF_STREAM) != 0;
                Frame frame = info.size > 0 ? frame(codec, out, rotation, 1e-6 * info.presentationTimeUs) : null;
                codec.releaseOutputBuffer(out, false);
                if ((frame != null && !listener.onVideoFrame(frame)) || last) {
                    return;
                }
            }
        }
    }

    /** A frame in memory of its own: the decoder wants its buffer back. */
    private static Frame frame(MediaCodec codec, int index, int rotation, double seconds) {
        Image image = codec.getOutputImage(index);
        if (image == null) {
            return null;
        }
        Image.Plane[] planes = image.getPlanes();
        ByteBuffer[] copies = new ByteBuffer[3];
        int[] rows = new int[3];
        int[] pixels = new int[3];
        for (int i = 0; i < 3; i++) {
            ByteBuffer from = planes[i].getBuffer();
            int half = i == 0 ? 1 : 2; // the planes of colour have half the size
            from.position(image.getCropRect().top / half * planes[i].getRowStride()
                    + image.getCropRect().left / half * planes[i].getPixelStride());
            copies[i] = ByteBuffer.allocateDirect(from.remaining());
            copies[i].put(from);
            copies[i].rewind();
            rows[i] = planes[i].getRowStride();
            pixels[i] = planes[i].getPixelStride();
        }
        int width = image.getCropRect().width();
        int height = image.getCropRect().height();
        image.close();
        return Frame.yuv(width, height, copies, rows, pixels, rotation, true, seconds, false, null);
    }
}
