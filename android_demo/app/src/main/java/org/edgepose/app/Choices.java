package org.edgepose.app;

import android.content.SharedPreferences;

/** What the user has chosen; it stays from one start to the next. */
final class Choices {
    private final SharedPreferences stored;
    int network;
    String precision; // a model's name; empty: the best for this processor
    int threads;
    int interval; // frames from one detection to the next
    int smoothing;
    String camera; // an id; empty: the first at the back
    int size; // height of the frames

    Choices(SharedPreferences stored) {
        this.stored = stored;
        network = stored.getInt("network", 0);
        precision = stored.getString("precision", "");
        threads = stored.getInt("threads", 2);
        interval = stored.getInt("interval", 5);
        smoothing = stored.getInt("smoothing", 0);
        camera = stored.getString("camera", "");
        size = stored.getInt("size", 480);
    }

    void keep() {
        stored.edit().putInt("network", network).putString("precision", precision).putInt("threads", threads)
                .putInt("interval", interval).putInt("smoothing", smoothing).putString("camera", camera)
                .putInt("size", size).apply();
    }

    boolean tested(String what) {
        return what.equals(stored.getString("tested", ""));
    }

    void noteTested(String what) {
        stored.edit().putString("tested", what).apply();
    }
}
