package org.edgepose.app;

import android.graphics.SurfaceTexture;
import android.hardware.display.DisplayManager;
import android.view.TextureView;

import org.edgepose.core.States.Event;

/** What the system tells of surface and screen, as events. */
final class Surroundings implements TextureView.SurfaceTextureListener, DisplayManager.DisplayListener {
    /** Hears the events, on the main thread. */
    interface Listener {
        void onSurroundings(Event event);
    }

    private final Listener listener;

    Surroundings(Listener listener) {
        this.listener = listener;
    }

    @Override
    public void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height) {
        listener.onSurroundings(Event.SURFACE_READY);
    }

    @Override
    public void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height) {
        listener.onSurroundings(Event.TURNED);
    }

    @Override
    public boolean onSurfaceTextureDestroyed(SurfaceTexture texture) {
        listener.onSurroundings(Event.SURFACE_GONE);
        return true;
    }

    @Override
    public void onSurfaceTextureUpdated(SurfaceTexture texture) {}

    @Override
    public void onDisplayAdded(int id) {}

    @Override
    public void onDisplayRemoved(int id) {}

    @Override
    public void onDisplayChanged(int id) { // half a turn is no change of the configuration
        listener.onSurroundings(Event.TURNED);
    }
}
