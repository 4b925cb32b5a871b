package org.edgepose.app;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Context;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;

import java.io.File;
import java.io.FileNotFoundException;

/** Hands single files of the folder "shared" to other apps, for reading, to whom the user sends them. */
public final class Shared extends ContentProvider {
    static final String AUTHORITY = "org.edgepose.shared";

    static File folder(Context context) {
        File folder = new File(context.getFilesDir(), "shared");
        folder.mkdirs();
        return folder;
    }

    static Uri address(File file) {
        return new Uri.Builder().scheme("content").authority(AUTHORITY).appendPath(file.getName()).build();
    }

    private File file(Uri address) throws FileNotFoundException {
        String name = address.getLastPathSegment();
        if (name == null || !name.matches("[A-Za-z0-9_-]+\\.[a-z]+")) { // nothing that leads out of the folder
            throw new FileNotFoundException(String.valueOf(address));
        }
        return new File(folder(getContext()), name);
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public ParcelFileDescriptor openFile(Uri address, String mode) throws FileNotFoundException {
        if (!"r".equals(mode)) {
            throw new FileNotFoundException("only for reading");
        }
        return ParcelFileDescriptor.open(file(address), ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public String getType(Uri address) {
        String name = String.valueOf(address.getLastPathSegment());
        return name.endsWith(".png") ? "image/png" : name.endsWith(".json") ? "application/json" : "text/plain";
    }

    @Override
    public Cursor query(Uri address, String[] columns, String selection, String[] arguments, String order) {
        MatrixCursor cursor = new MatrixCursor(new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE});
        try {
            File file = file(address);
            cursor.addRow(new Object[] {file.getName(), file.length()});
        } catch (FileNotFoundException error) {
            // No such file: no row.
        }
        return cursor;
    }

    @Override
    public Uri insert(Uri address, ContentValues values) {
        return null;
    }

    @Override
    public int update(Uri address, ContentValues values, String selection, String[] arguments) {
        return 0;
    }

    @Override
    public int delete(Uri address, String selection, String[] arguments) {
        return 0;
    }
}
