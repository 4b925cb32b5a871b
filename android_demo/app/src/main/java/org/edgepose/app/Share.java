package org.edgepose.app;

import android.app.Activity;
import android.content.Intent;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.view.TextureView;
import android.view.View;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;

/** Files for other apps, to whom the user sends them. */
final class Share {
    private Share() {}

    /** Draws what is on the screen into a picture and sends it; live: the camera's preview lies under the overlay. */
    static void screen(Activity activity, boolean live, TextureView preview, View picture, View overlay)
            throws IOException {
        Bitmap shot = Bitmap.createBitmap(overlay.getWidth(), overlay.getHeight(), Bitmap.Config.ARGB_8888);
        Canvas canvas = new Canvas(shot);
        Bitmap camera = live ? preview.getBitmap() : null;
        if (camera != null) {
            canvas.drawBitmap(camera, preview.getTransform(null), null);
        } else if (!live) {
            picture.draw(canvas);
        }
        overlay.draw(canvas);
        File target = new File(Shared.folder(activity), "screenshot.png");
        try (FileOutputStream out = new FileOutputStream(target)) {
            shot.compress(Bitmap.CompressFormat.PNG, 100, out);
        }
        send(activity, target, "image/png");
    }

    static void send(Activity activity, File target, String kind) {
        Intent intent = new Intent(Intent.ACTION_SEND).setType(kind)
                .putExtra(Intent.EXTRA_STREAM, Shared.address(target))
                .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        activity.startActivity(Intent.createChooser(intent, activity.getString(R.string.share)));
    }
}
