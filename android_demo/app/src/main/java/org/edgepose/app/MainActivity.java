package org.edgepose.app;

import android.Manifest;
import android.app.Activity;
import android.content.ComponentCallbacks2;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.content.res.Configuration;
import android.graphics.Bitmap;
import android.graphics.Matrix;
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
import java.io.IOException;
import java.util.List;

/** The screen: it tells {@link States} what happens and does what that says. All of it is on the main thread. */
public final class MainActivity extends Activity implements Surroundings.Listener, Camera.Listener, Sheet.Listener,
        Engines.Listener, Opened.Listener {
    private static final int PERMISSION = 1;
    private static final int FILE = 2;
    private final States states = new States();
    private final Surroundings surroundings = new Surroundings(this);
    private Choices choices;
    private Engines engines;
    private Camera camera;
    private Sheet sheet;
    private Opened opened;
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
        opened = new Opened(this, engines, this);
        sheet = new Sheet(this, choices, cpu, this);
        preview.setSurfaceTextureListener(surroundings);
        ((DisplayManager) getSystemService(DISPLAY_SERVICE)).registerDisplayListener(surroundings, null);
        buttons();
        measureIfAsked(getIntent());
    }

    private void buttons() {
        on(R.id.do_settings, this::openSheet);
        on(R.id.do_close, sheet::close);
        on(R.id.do_switch, this::switchCamera);
        on(R.id.do_open, () -> opened.choose(FILE));
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
                camera.open(Cameras.chosen(camera, choices), preview.getSurfaceTexture(), choices.size * 4 / 3,
                        choices.size, Math.max(preview.getWidth(), preview.getHeight()));
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
                opened.open(states.source() == States.Source.VIDEO);
                break;
            case CLOSE_FILE:
                opened.close();
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
        ((DisplayManager) getSystemService(DISPLAY_SERVICE)).unregisterDisplayListener(surroundings);
        opened.close();
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
    public void onSurroundings(Event event) {
        happened(event);
    }

    // ---- Camera ----

    private void switchCamera() {
        if (states.source() != States.Source.CAMERA) {
            happened(Event.SHOW_CAMERA);
            return;
        }
        Cameras.next(camera, choices);
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

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        super.onActivityResult(request, result, data);
        if (request == FILE && result == RESULT_OK && data != null && data.getData() != null) {
            opened.chosen(data.getData());
        }
    }

    @Override
    public void onFile(Event event) {
        happened(event);
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
        Share.send(this, recorded, "application/json");
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
        try {
            Share.screen(this, states.source() == States.Source.CAMERA, preview, picture, overlay);
        } catch (IOException error) {
            onSaid(R.id.test, Texts.of(this, Sentence.FILE_NOT_WRITTEN, error.getMessage()));
        }
    }
}
