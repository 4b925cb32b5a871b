package org.edgepose.app;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.graphics.Bitmap;
import android.net.Uri;

import org.edgepose.core.Frame;
import org.edgepose.core.States.Event;

/** The picture or video that the user has chosen, on its way to the engines. */
final class Opened implements FileSource.Listener {
    /** Hears what comes of it, on the main thread. */
    interface Listener {
        void onFile(Event event);
    }

    private final Activity activity;
    private final Engines engines;
    private final Listener listener;
    private Uri address;
    private FileSource source;

    Opened(Activity activity, Engines engines, Listener listener) {
        this.activity = activity;
        this.engines = engines;
        this.listener = listener;
    }

    /** Lets the user choose. */
    void choose(int request) {
        Intent intent = new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*")
                .putExtra(Intent.EXTRA_MIME_TYPES, new String[] {"image/*", "video/*"});
        try {
            activity.startActivityForResult(intent, request);
        } catch (ActivityNotFoundException error) {
            listener.onFile(Event.FILE_UNREADABLE); // a device without a picker
        }
    }

    /** Takes what was chosen. */
    void chosen(Uri chosen) {
        address = chosen;
        String kind = activity.getContentResolver().getType(chosen);
        listener.onFile(kind != null && kind.startsWith("video/") ? Event.OPEN_VIDEO : Event.OPEN_PICTURE);
    }

    void open(boolean video) {
        source = new FileSource(activity, address, video, this);
    }

    void close() {
        if (source != null) {
            source.close();
        }
    }

    private void tell(final Event event) {
        activity.runOnUiThread(() -> listener.onFile(event));
    }

    @Override
    public void onPicture(Frame frame, Bitmap shown) {
        frame.tag = shown;
        engines.look(frame);
    }

    @Override
    public boolean onVideoFrame(Frame frame) throws InterruptedException {
        return engines.put(frame);
    }

    @Override
    public void onReady() {
        tell(Event.FILE_READY);
    }

    @Override
    public void onEnded() {
        tell(Event.FILE_ENDED);
    }

    @Override
    public void onUnreadable() {
        tell(Event.FILE_UNREADABLE);
    }

    @Override
    public void onClosed() {
        tell(Event.FILE_CLOSED);
    }
}
