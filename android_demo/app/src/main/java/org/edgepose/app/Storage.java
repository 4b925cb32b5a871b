package org.edgepose.app;

import android.content.Context;
import android.content.res.AssetManager;

import org.edgepose.core.Files;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;

/** The networks in the app's files: engines open files and no assets. */
final class Storage {
    private static final String ASSETS = "pose";

    private Storage() {}

    /** Copies what the app carries to its files, once for each version of it; returns the folder. */
    static File networks(Context context) throws IOException {
        File folder = new File(context.getFilesDir(), ASSETS);
        AssetManager assets = context.getAssets();
        byte[] index;
        try (InputStream in = assets.open(ASSETS + "/app.json")) {
            index = Files.bytes(in);
        }
        File mark = new File(folder, "copied");
        String digest = Files.sha256(index);
        if (!mark.isFile() || !digest.equals(Files.text(mark))) {
            remove(folder);
            copy(assets, ASSETS, folder);
            Files.write(mark, digest.getBytes(Files.UTF_8)); // last: a copy that was cut off is made again
        }
        return folder;
    }

    private static void copy(AssetManager assets, String from, File to) throws IOException {
        String[] names = assets.list(from);
        if (names == null || names.length == 0) {
            try (InputStream in = assets.open(from)) {
                Files.write(to, Files.bytes(in));
            }
            return;
        }
        if (!to.isDirectory() && !to.mkdirs()) {
            throw new IOException(to.getName() + " cannot be made");
        }
        for (String name : names) {
            copy(assets, from + "/" + name, new File(to, name));
        }
    }

    private static void remove(File file) {
        File[] inside = file.listFiles();
        for (File each : inside == null ? new File[0] : inside) {
            remove(each);
        }
        file.delete();
    }
}
