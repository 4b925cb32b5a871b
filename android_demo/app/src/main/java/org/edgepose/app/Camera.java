package org.edgepose.app;

import android.content.Context;
import android.graphics.ImageFormat;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.os.Looper;
import android.util.Range;
import android.util.Size;
import android.view.Surface;

import org.edgepose.core.Frame;
import org.edgepose.core.Sizes;
import org.edgepose.core.States.Event;
import org.edgepose.core.Transform;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * One camera at a time, by camera2. Events come on the main thread: CAMERA_OPENED when pictures come; after
 * {@link #close}, and after any trouble, CAMERA_CLOSED exactly once, when the camera is free again.
 */
final class Camera {
    /** What the camera tells. */
    interface Listener {
        void onCamera(Event event);

        /** On the camera's thread. */
        void onFrame(Frame frame);

        /** By how many degrees the screen is turned: Display.getRotation times 90. */
        int display();
    }

    private final CameraManager manager;
    private final Listener listener;
    private final Handler main = new Handler(Looper.getMainLooper());
    private final HandlerThread thread = new HandlerThread("camera");
    private final Handler handler;
    private final CameraManager.AvailabilityCallback free = new CameraManager.AvailabilityCallback() {
        @Override
        public void onCameraAvailable(String id) {
            listener.onCamera(Event.CAMERA_FREE);
        }
    };
    private Opening current;
    private String id;
    private int sensor;
    private boolean front;
    private int[] frameSize = {640, 480};
    private int[] previewSize = {640, 480};

    Camera(Context context, Listener listener) {
        manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
        this.listener = listener;
        thread.start();
        handler = new Handler(thread.getLooper());
        manager.registerAvailabilityCallback(free, main);
    }

    void end() {
        manager.unregisterAvailabilityCallback(free);
        thread.quitSafely();
    }

    /** The cameras' ids; empty: none, or they cannot be listed. */
    String[] ids() {
        try {
            return manager.getCameraIdList();
        } catch (CameraAccessException | RuntimeException error) {
            return new String[0];
        }
    }

    /** Which way a camera looks: LENS_FACING_FRONT, _BACK or _EXTERNAL; -1: not told. */
    int facing(String camera) {
        try {
            Integer facing = manager.getCameraCharacteristics(camera).get(CameraCharacteristics.LENS_FACING);
            return facing == null ? -1 : facing;
        } catch (CameraAccessException | RuntimeException error) {
            return -1;
        }
    }

    boolean front() {
        return front;
    }

    /** Width and height of the preview as it is upright on the screen now. */
    int[] uprightPreview() {
        boolean lies = Math.abs(sensor - listener.display()) % 180 != 0;
        return lies ? new int[] {previewSize[1], previewSize[0]} : previewSize;
    }

    /** Opens a camera; what comes of it is an event. */
    void open(String camera, SurfaceTexture texture, int width, int height, int longest) {
        id = camera;
        if (camera == null) {
            tell(Event.CAMERA_NONE);
            tell(Event.CAMERA_CLOSED);
            return;
        }
        Opening opening = new Opening();
        try {
            CameraCharacteristics about = manager.getCameraCharacteristics(camera);
            StreamConfigurationMap map = about.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
            Integer orientation = about.get(CameraCharacteristics.SENSOR_ORIENTATION);
            sensor = orientation == null ? 0 : orientation;
            front = facing(camera) == CameraCharacteristics.LENS_FACING_FRONT;
            Size[] sizes = map == null ? null : map.getOutputSizes(ImageFormat.YUV_420_888);
            if (sizes == null || sizes.length == 0) {
                opening.finish(Event.CAMERA_FAILED);
                return;
            }
            frameSize = Sizes.nearest(pairs(sizes), width, height);
            Size[] previews = map.getOutputSizes(SurfaceTexture.class);
            previewSize = Sizes.preview(previews == null ? new int[0][] : pairs(previews), frameSize, longest);
            opening.start(camera, about, texture);
        } catch (CameraAccessException error) {
            opening.finish(event(error));
        } catch (SecurityException error) {
            opening.finish(Event.PERMISSION_REFUSED);
        } catch (RuntimeException error) { // some makers' cameras throw what the documentation does not know
            opening.finish(Event.CAMERA_FAILED);
        }
    }

    /** Closes what is open or being opened; what has ended by itself has said so, or is about to. */
    void close() {
        if (current != null) {
            current.finish(null);
        }
    }

    private void tell(final Event event) {
        main.post(new Runnable() {
            @Override
            public void run() {
                listener.onCamera(event);
            }
        });
    }

    private static int[][] pairs(Size[] sizes) {
        int[][] result = new int[sizes.length][];
        for (int i = 0; i < result.length; i++) {
            result[i] = new int[] {sizes[i].getWidth(), sizes[i].getHeight()};
        }
        return result;
    }

    private Event event(CameraAccessException error) {
        switch (error.getReason()) {
            case CameraAccessException.CAMERA_IN_USE:
            case CameraAccessException.MAX_CAMERAS_IN_USE:
                return Event.CAMERA_TAKEN;
            case CameraAccessException.CAMERA_DISABLED:
                return Event.CAMERA_DISABLED;
            case CameraAccessException.CAMERA_DISCONNECTED:
                return lost();
            default:
                return Event.CAMERA_FAILED;
        }
    }

    /** A camera that is no longer listed was unplugged; else another app took it. */
    private Event lost() {
        return Arrays.asList(ids()).contains(id) ? Event.CAMERA_TAKEN : Event.CAMERA_UNPLUGGED;
    }

    /** One opening of a camera, from beginning to end; its late callbacks cannot touch the next one. */
    private final class Opening extends CameraDevice.StateCallback implements ImageReader.OnImageAvailableListener {
        private CameraDevice device;
        private ImageReader reader;
        private Surface preview;
        private boolean over;
        private boolean opening;
        private Range<Integer> fastest;
        private int lent; // images that are still looked at

        void start(String camera, CameraCharacteristics about, SurfaceTexture texture) throws CameraAccessException {
            current = this;
            texture.setDefaultBufferSize(previewSize[0], previewSize[1]);
            preview = new Surface(texture);
            // One is computed, one waits, and the reader wants two more to give the newest.
            reader = ImageReader.newInstance(frameSize[0], frameSize[1], ImageFormat.YUV_420_888, 4);
            reader.setOnImageAvailableListener(this, handler);
            fastest = fastest(about);
            manager.openCamera(camera, this, main);
            opening = true; // what comes of it comes on this thread, later
        }

        /** The steadiest of the fast rates: one whose lower end is high keeps its rate in the dark. */
        private Range<Integer> fastest(CameraCharacteristics about) {
            Range<Integer>[] all = about.get(CameraCharacteristics.CONTROL_AE_AVAILABLE_TARGET_FPS_RANGES);
            Range<Integer> best = null;
            for (Range<Integer> each : all == null ? Arrays.<Range<Integer>>asList() : Arrays.asList(all)) {
                boolean better = best == null || each.getUpper() > best.getUpper()
                        || (each.getUpper().equals(best.getUpper()) && each.getLower() > best.getLower());
                best = each.getUpper() <= 30 && better ? each : best;
            }
            return best;
        }

        @Override
        public void onOpened(CameraDevice camera) {
            device = camera;
            opening = false;
            if (over) { // no longer wanted when it came
                device.close();
                return;
            }
            List<Surface> surfaces = new ArrayList<>();
            surfaces.add(preview);
            surfaces.add(reader.getSurface());
            try {
                device.createCaptureSession(surfaces, new CameraCaptureSession.StateCallback() {
                    @Override
                    public void onConfigured(CameraCaptureSession session) {
                        if (!over) {
                            run(session);
                        }
                    }

                    @Override
                    public void onConfigureFailed(CameraCaptureSession session) {
                        finish(Event.CAMERA_FAILED);
                    }
                }, main);
            } catch (CameraAccessException error) {
                finish(event(error));
            } catch (RuntimeException error) {
                finish(Event.CAMERA_FAILED);
            }
        }

        private void run(CameraCaptureSession session) {
            try {
                CaptureRequest.Builder request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
                request.addTarget(preview);
                request.addTarget(reader.getSurface());
                if (fastest != null) {
                    request.set(CaptureRequest.CONTROL_AE_TARGET_FPS_RANGE, fastest);
                }
                session.setRepeatingRequest(request.build(), null, null);
                listener.onCamera(Event.CAMERA_OPENED);
            } catch (CameraAccessException error) {
                finish(event(error));
            } catch (RuntimeException error) {
                finish(Event.CAMERA_FAILED);
            }
        }

        @Override
        public void onDisconnected(CameraDevice camera) {
            device = camera;
            opening = false;
            finish(lost());
        }

        @Override
        public void onError(CameraDevice camera, int error) {
            device = camera;
            opening = false;
            boolean taken = error == ERROR_CAMERA_IN_USE || error == ERROR_MAX_CAMERAS_IN_USE;
            finish(taken ? Event.CAMERA_TAKEN : error == ERROR_CAMERA_DISABLED ? Event.CAMERA_DISABLED
                    : Event.CAMERA_FAILED);
        }

        @Override
        public void onClosed(CameraDevice camera) {
            if (current == this) {
                release();
            }
        }

        /** Ends it; trouble: why, or null: it was asked to. */
        void finish(Event trouble) {
            if (trouble != null && !over) {
                tell(trouble);
            }
            if (over) {
                if (device != null) {
                    device.close();
                }
                return;
            }
            synchronized (this) {
                over = true;
            }
            if (device != null) {
                device.close(); // onClosed comes
            } else if (!opening) {
                current = this;
                release();
            } // else onOpened, onDisconnected or onError comes first
        }

        private void release() {
            current = null;
            if (preview != null) {
                preview.release();
            }
            if (reader != null) {
                reader.setOnImageAvailableListener(null, null);
                giveBack(0);
            }
            tell(Event.CAMERA_CLOSED);
        }

        /** Closing the reader takes the memory of its images away: not while one is being looked at. */
        private synchronized void giveBack(int images) {
            lent -= images;
            if (over && lent == 0) {
                reader.close();
            }
        }

        @Override
        public void onImageAvailable(ImageReader from) {
            Image image;
            synchronized (this) {
                try {
                    image = over ? null : from.acquireLatestImage();
                } catch (IllegalStateException error) {
                    image = null; // all are still in use: this one is dropped
                }
                lent += image == null ? 0 : 1;
            }
            if (image != null) {
                listener.onFrame(frame(image));
            }
        }

        private Frame frame(final Image image) {
            Image.Plane[] planes = image.getPlanes();
            ByteBuffer[] buffers = new ByteBuffer[3];
            int[] rows = new int[3];
            int[] pixels = new int[3];
            for (int i = 0; i < 3; i++) {
                buffers[i] = planes[i].getBuffer();
                rows[i] = planes[i].getRowStride();
                pixels[i] = planes[i].getPixelStride();
            }
            int rotation = Transform.frameRotation(sensor, listener.display(), front);
            return Frame.yuv(image.getWidth(), image.getHeight(), buffers, rows, pixels, rotation, false,
                    1e-9 * image.getTimestamp(), front, new Runnable() {
                        @Override
                        public void run() {
                            image.close();
                            giveBack(1);
                        }
                    });
        }
    }
}
