package org.edgepose.app;

import android.Manifest;
import android.app.Activity;
import android.content.ComponentCallbacks2;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.content.res.Configuration;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Matrix;
import android.graphics.SurfaceTexture;
import android.hardware.display.DisplayManager;
import android.net.Uri;
import android.os.Bundle;
import android.provider.Settings;
import android.view.TextureView;
import android.view.View;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.ImageView;
import android.widget.TextView;

import org.edgepose.core.Cpu;
import org.edgepose.core.Frame;
import org.edgepose.core.Problem;
import org.edgepose.core.Sentence;
import org.edgepose.core.States;
import org.edgepose.core.States.Command;
import org.edgepose.core.States.Event;
import org.edgepose.core.Transform;
import org.edgepose.core.Worker;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.List;

/** The screen: it tells {@link States} what happens and does what that says. All of it is on the main thread. */
public final class MainActivity extends Activity implements TextureView.SurfaceTextureListener, Camera.Listener,
        DisplayManager.DisplayListener, Sheet.Listener, Engines.Listener {
    private static final int PERMISSION = 1;
    private static final int FILE = 2;
    private final States states = new States();
    private Choices choices;
    private Engines engines;
    private Camera camera;
    private Sheet sheet;
    private FileSource file;
    private Uri opened;
    private Problem trouble; // with the arguments of the sentence
    private TextureView preview;
    private ImageView picture;
    private Overlay overlay;
    private volatile boolean runs; // frames may go to the engines
    private volatile int display;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        setContentView(R.layout.main);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        preview = findViewById(R.id.preview);
        picture = findViewById(R.id.picture);
        overlay = findViewById(R.id.overlay);
        choices = new Choices(getSharedPreferences("choices", MODE_PRIVATE));
        Cpu cpu = Cpu.here();
        engines = new Engines(this, choices, cpu, this);
        camera = new Camera(this, this);
        sheet = new Sheet(this, choices, cpu, this);
        preview.setSurfaceTextureListener(this);
        ((DisplayManager) getSystemService(DISPLAY_SERVICE)).registerDisplayListener(this, null);
        buttons();
        measureIfAsked(getIntent());
    }

    private void buttons() {
        on(R.id.do_settings, this::openSheet);
        on(R.id.do_close, sheet::close);
        on(R.id.do_switch, this::switchCamera);
        on(R.id.do_open, this::openFile);
        on(R.id.do_record, this::record);
        on(R.id.do_share, this::share);
        on(R.id.do_test, engines::test);
        on(R.id.do_bench, () -> engines.measure(""));
        on(R.id.sentence, this::tapped);
    }

    private void on(int id, Runnable action) {
        findViewById(id).setOnClickListener(view -> action.run());
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        measureIfAsked(intent);
    }

    /** adb shell am start -n org.edgepose/.app.MainActivity --ez bench true [--es label NAME]. */
    private void measureIfAsked(Intent intent) {
        if (intent != null && intent.getBooleanExtra("bench", false)) {
            String label = intent.getStringExtra("label");
            engines.measureWhenReady(label == null ? "" : label);
        }
    }

    // ---- What happens ----

    private void happened(Event event) {
        carryOut(states.on(event));
    }

    private void carryOut(List<Command> todo) {
        for (Command each : todo) {
            carryOut(each);
        }
        refresh();
    }

    private void carryOut(Command command) {
        switch (command) {
            case ASK_PERMISSION:
                if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) {
                    later(Event.PERMISSION_GRANTED);
                } else {
                    requestPermissions(new String[] {Manifest.permission.CAMERA}, PERMISSION);
                }
                break;
            case OPEN_CAMERA:
                engines.restart();
                camera.open(chosenCamera(), preview.getSurfaceTexture(), choices.size * 4 / 3, choices.size,
                        Math.max(preview.getWidth(), preview.getHeight()));
                break;
            case CLOSE_CAMERA:
                camera.close();
                engines.drop();
                break;
            case LOAD_ENGINE:
                engines.load();
                break;
            case RELEASE_ENGINE:
                engines.release();
                break;
            case OPEN_FILE:
                engines.restart();
                file = new FileSource(this, opened, states.source() == States.Source.VIDEO, new FileEvents());
                break;
            case CLOSE_FILE:
                file.close();
                engines.drop();
                break;
            default:
                throw new AssertionError(command);
        }
    }

    private void later(Event event) {
        overlay.post(() -> happened(event));
    }

    /** Brings the screen to the state. */
    private void refresh() {
        runs = states.runs();
        boolean live = states.source() == States.Source.CAMERA;
        picture.setVisibility(live ? View.GONE : View.VISIBLE);
        if (!runs) {
            overlay.clear();
        }
        Sentence now = states.sentence();
        boolean known = trouble != null && trouble.sentence == now;
        TextView sentence = findViewById(R.id.sentence);
        String text = known ? Texts.of(this, trouble) : Texts.of(this, now);
        if (!text.contentEquals(sentence.getText())) { // a screen reader says what is set
            sentence.setText(text);
        }
        ((Button) findViewById(R.id.do_record)).setText(engines.records() ? R.string.stop : R.string.record);
        ((Button) findViewById(R.id.do_switch)).setText(live ? R.string.switch_camera : R.string.live);
        place();
    }

    /** One rule for preview and overlay: how the camera's picture lies on the screen. */
    private void place() {
        display = 90 * getWindowManager().getDefaultDisplay().getRotation();
        if (preview.getWidth() == 0 || preview.getHeight() == 0) {
            return;
        }
        int[] size = camera.uprightPreview();
        double[] m = Transform.textureMatrix(size[0], size[1], preview.getWidth(), preview.getHeight(), false, display);
        Matrix matrix = new Matrix();
        matrix.setValues(new float[] {(float) m[0], (float) m[1], (float) m[2], (float) m[3], (float) m[4],
            (float) m[5], 0, 0, 1});
        preview.setTransform(matrix);
    }

    // ---- The activity's life ----

    @Override
    protected void onStart() {
        super.onStart();
        if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) {
            states.on(Event.PERMISSION_GRANTED); // perhaps given in the settings meanwhile
        }
        happened(Event.START);
    }

    @Override
    protected void onStop() {
        engines.stopRecording(false);
        happened(Event.STOP);
        super.onStop();
    }

    @Override
    protected void onDestroy() {
        ((DisplayManager) getSystemService(DISPLAY_SERVICE)).unregisterDisplayListener(this);
        if (file != null) {
            file.close();
        }
        camera.end();
        engines.end();
        super.onDestroy();
    }

    @Override
    public void onTrimMemory(int level) {
        super.onTrimMemory(level);
        if (level == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL) {
            happened(Event.LOW_MEMORY);
        }
    }

    @Override
    public void onLowMemory() {
        super.onLowMemory();
        happened(Event.LOW_MEMORY);
    }

    @Override
    public void onConfigurationChanged(Configuration configuration) {
        super.onConfigurationChanged(configuration);
        happened(Event.TURNED);
    }

    @Override
    public void onBackPressed() {
        if (sheet.isOpen()) {
            sheet.close();
        } else {
            super.onBackPressed();
        }
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] names, int[] results) {
        if (results.length == 0) { // the question was broken off
            happened(Event.PERMISSION_REFUSED);
        } else if (results[0] == PackageManager.PERMISSION_GRANTED) {
            happened(Event.PERMISSION_GRANTED);
        } else {
            boolean again = shouldShowRequestPermissionRationale(Manifest.permission.CAMERA);
            happened(again ? Event.PERMISSION_REFUSED : Event.PERMISSION_REFUSED_FOREVER);
        }
    }

    @Override
    public void onDisplayAdded(int id) {}

    @Override
    public void onDisplayRemoved(int id) {}

    @Override
    public void onDisplayChanged(int id) { // half a turn is no change of the configuration
        happened(Event.TURNED);
    }

    @Override
    public void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height) {
        happened(Event.SURFACE_READY);
    }

    @Override
    public void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height) {
        happened(Event.TURNED);
    }

    @Override
    public boolean onSurfaceTextureDestroyed(SurfaceTexture texture) {
        happened(Event.SURFACE_GONE);
        return true;
    }

    @Override
    public void onSurfaceTextureUpdated(SurfaceTexture texture) {}

    // ---- Camera ----

    private String chosenCamera() {
        String[] ids = camera.ids();
        for (String each : ids) {
            if (each.equals(choices.camera)) {
                return each;
            }
        }
        for (String each : ids) {
            if (camera.facing(each) == android.hardware.camera2.CameraCharacteristics.LENS_FACING_BACK) {
                return each;
            }
        }
        return ids.length == 0 ? null : ids[0];
    }

    private void switchCamera() {
        if (states.source() != States.Source.CAMERA) {
            happened(Event.SHOW_CAMERA);
            return;
        }
        String[] ids = camera.ids();
        String now = chosenCamera();
        for (int i = 0; i < ids.length; i++) {
            if (ids[i].equals(now)) {
                choices.camera = ids[(i + 1) % ids.length];
                choices.keep();
                break;
            }
        }
        happened(Event.SWITCH_CAMERA);
    }

    @Override
    public void onCamera(Event event) {
        happened(event);
    }

    @Override
    public void onFrame(Frame frame) {
        if (runs) {
            engines.offer(frame);
        } else {
            frame.close();
        }
    }

    @Override
    public int display() {
        return display;
    }

    // ---- Pictures and videos ----

    private void openFile() {
        Intent intent = new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*")
                .putExtra(Intent.EXTRA_MIME_TYPES, new String[] {"image/*", "video/*"});
        try {
            startActivityForResult(intent, FILE);
        } catch (android.content.ActivityNotFoundException error) {
            happened(Event.FILE_UNREADABLE); // a device without a picker
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        super.onActivityResult(request, result, data);
        if (request == FILE && result == RESULT_OK && data != null && data.getData() != null) {
            opened = data.getData();
            String kind = getContentResolver().getType(opened);
            happened(kind != null && kind.startsWith("video/") ? Event.OPEN_VIDEO : Event.OPEN_PICTURE);
        }
    }

    /** What comes of the file, carried to the main thread. */
    private final class FileEvents implements FileSource.Listener {
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
            later(Event.FILE_READY);
        }

        @Override
        public void onEnded() {
            later(Event.FILE_ENDED);
        }

        @Override
        public void onUnreadable() {
            later(Event.FILE_UNREADABLE);
        }

        @Override
        public void onClosed() {
            later(Event.FILE_CLOSED);
        }
    }

    // ---- Engines ----

    @Override
    public void onEngine(Event event) {
        happened(event);
    }

    @Override
    public void onTrouble(Problem problem) {
        trouble = problem;
        carryOut(states.trouble(problem.sentence));
    }

    @Override
    public void onFound(Worker.Result result, String[] figures) {
        if (!states.runs()) {
            return; // it comes too late
        }
        if (result.tag instanceof Bitmap) {
            picture.setImageBitmap((Bitmap) result.tag);
        }
        Transform place = Transform.of(result.width, result.height, overlay.getWidth(), overlay.getHeight(), false,
                result.mirrored);
        overlay.show(result.people, engines.pose(), place, figures);
        overlay.setContentDescription(getString(R.string.people_described, result.people.length));
        happened(result.people.length > 0 ? Event.PEOPLE : Event.NOBODY);
    }

    @Override
    public void onSaid(int field, String text) {
        sheet.say(field, text);
        refresh();
    }

    @Override
    public void onRecorded(File recorded) {
        send(recorded, "application/json");
    }

    @Override
    public void modelChosen() {
        happened(Event.CHOOSE_MODEL);
    }

    @Override
    public void followingChosen() {
        engines.setFollowing();
    }

    @Override
    public void cameraChosen() {
        happened(Event.SWITCH_CAMERA);
    }

    // ---- Taps ----

    private void openSheet() {
        if (engines.catalogue() != null) {
            sheet.open(engines.catalogue(), camera);
        }
    }

    private void tapped() {
        if (states.sentence() == Sentence.PERMISSION_REFUSED_FOREVER) {
            startActivity(new Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS,
                    Uri.fromParts("package", getPackageName(), null)));
        } else if (states.canRetry()) {
            happened(Event.RETRY);
        }
    }

    private void record() {
        if (engines.records()) {
            engines.stopRecording(true);
        } else {
            engines.record(new File(Shared.folder(this), "joints.json"));
        }
        refresh();
    }

    /** Sends what is on the screen, as a picture. */
    private void share() {
        Bitmap shot = Bitmap.createBitmap(overlay.getWidth(), overlay.getHeight(), Bitmap.Config.ARGB_8888);
        Canvas canvas = new Canvas(shot);
        if (states.source() == States.Source.CAMERA) {
            Bitmap camera = preview.getBitmap();
            if (camera != null) {
                canvas.drawBitmap(camera, preview.getTransform(null), null);
            }
        } else {
            picture.draw(canvas);
        }
        overlay.draw(canvas);
        File target = new File(Shared.folder(this), "screenshot.png");
        try (FileOutputStream out = new FileOutputStream(target)) {
            shot.compress(Bitmap.CompressFormat.PNG, 100, out);
        } catch (IOException error) {
            onSaid(R.id.test, Texts.of(this, Sentence.FILE_NOT_WRITTEN, error.getMessage()));
            return;
        }
        send(target, "image/png");
    }

    private void send(File target, String kind) {
        Intent intent = new Intent(Intent.ACTION_SEND).setType(kind)
                .putExtra(Intent.EXTRA_STREAM, Shared.address(target))
                .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        startActivity(Intent.createChooser(intent, getString(R.string.share)));
    }
}
