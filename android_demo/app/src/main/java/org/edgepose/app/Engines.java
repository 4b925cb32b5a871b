package org.edgepose.app;

import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Build;
import android.os.PowerManager;
import android.util.Log;

import org.edgepose.core.Bench;
import org.edgepose.core.Catalogue;
import org.edgepose.core.Cpu;
import org.edgepose.core.Description;
import org.edgepose.core.Files;
import org.edgepose.core.Frame;
import org.edgepose.core.JointsFile;
import org.edgepose.core.Machine;
import org.edgepose.core.Model;
import org.edgepose.core.PaddleEngine;
import org.edgepose.core.Person;
import org.edgepose.core.Pipeline;
import org.edgepose.core.Problem;
import org.edgepose.core.Rates;
import org.edgepose.core.SelfTest;
import org.edgepose.core.Sentence;
import org.edgepose.core.States.Event;
import org.edgepose.core.Worker;

import org.json.JSONException;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.Locale;

/** The worker and what is done with it: networks, self-test, measurement, recording. Listeners hear on the main thread. */
final class Engines implements Worker.Listener {
    private static final String LOG = "edge-pose";

    /** What is heard of it. */
    interface Listener {
        void onEngine(Event event);

        void onTrouble(Problem problem);

        void onFound(Worker.Result result, String[] figures);

        void onSaid(int field, String text);

        void onRecorded(File file);
    }

    private final Activity activity;
    private final Choices choices;
    private final Cpu cpu;
    private final Listener listener;
    private final Worker worker = new Worker(this);
    private final Rates rates = new Rates();
    private volatile Catalogue catalogue;
    private volatile Description pose;
    private volatile Model model;
    private volatile boolean measuring;
    private String label; // of a measurement that is to begin when the networks are loaded
    private volatile boolean records;
    private JointsFile joints; // the worker's own, as the next two
    private File jointsFile;
    private long frames;
    private double began;

    Engines(Activity activity, Choices choices, Cpu cpu, Listener listener) {
        this.activity = activity;
        this.choices = choices;
        this.cpu = cpu;
        this.listener = listener;
    }

    Catalogue catalogue() {
        return catalogue;
    }

    Description pose() {
        return pose;
    }

    void load() {
        final int network = choices.network;
        final String wanted = choices.precision;
        final int threads = choices.threads;
        worker.load(() -> open(network, wanted, threads));
    }

    /** On the worker's thread: the first time the networks are copied out of the app. */
    private Pipeline open(int network, String wanted, int threads) throws Problem {
        if (catalogue == null) {
            try {
                catalogue = Catalogue.read(Storage.networks(activity));
            } catch (IOException error) {
                throw new Problem(Sentence.NO_MODELS);
            }
        }
        if (catalogue.poses.isEmpty() || catalogue.detector == null) {
            throw new Problem(Sentence.NO_MODELS);
        }
        catalogue.checkLibrary(cpu);
        pose = catalogue.poses.get(Math.min(network, catalogue.poses.size() - 1));
        Model chosen = pose.model(wanted);
        model = chosen == null ? catalogue.best(pose, cpu) : chosen;
        catalogue.checkRuns(model, cpu);
        return Pipeline.open(pose, model, catalogue.detector, catalogue.best(catalogue.detector, cpu), following(),
                threads, PaddleEngine::load);
    }

    private Pipeline.Following following() {
        Pipeline.Following following = new Pipeline.Following();
        following.detectEvery = choices.interval;
        following.smooth = choices.smoothing;
        return following;
    }

    void setFollowing() {
        worker.ask(pipeline -> pipeline.set(following()));
    }

    void release() {
        measuring = false;
        worker.release();
    }

    void restart() {
        worker.restart();
    }

    void drop() {
        worker.drop();
    }

    void offer(Frame frame) {
        worker.offer(frame);
    }

    void look(Frame frame) {
        worker.look(frame);
    }

    /** A video's frame, with its picture for the screen. */
    boolean put(Frame frame) throws InterruptedException {
        ByteBuffer pixels = ByteBuffer.allocateDirect(4 * frame.width * frame.height);
        frame.toRgba(pixels);
        Bitmap shown = Bitmap.createBitmap(frame.uprightWidth(), frame.uprightHeight(), Bitmap.Config.ARGB_8888);
        shown.copyPixelsFromBuffer(pixels);
        frame.tag = shown;
        return worker.put(frame);
    }

    void end() {
        measuring = false;
        worker.end();
    }

    // ---- The worker's words ----

    @Override
    public void ready(String version) {
        Log.i(LOG, "ready: " + model.name + ", Paddle-Lite " + version);
        activity.runOnUiThread(() -> {
            listener.onEngine(Event.ENGINE_READY);
            if (label != null) {
                String now = label;
                label = null;
                measure(now);
            } else if (!choices.tested(model.sha256)) {
                test();
            }
        });
    }

    @Override
    public void found(Worker.Result result) {
        rates.add(result, 1e-9 * System.nanoTime());
        if (joints != null) {
            try {
                began = frames == 0 ? result.seconds : began;
                joints.add(frames++, result.seconds - began, result.people);
            } catch (IOException error) {
                close(Texts.of(activity, Sentence.FILE_NOT_WRITTEN, error.getMessage()));
            }
        }
        String[] figures = figures();
        activity.runOnUiThread(() -> listener.onFound(result, figures));
    }

    @Override
    public void failed(Problem problem) {
        Log.w(LOG, problem.getMessage());
        activity.runOnUiThread(() -> listener.onTrouble(problem));
    }

    @Override
    public void released() {
        activity.runOnUiThread(() -> listener.onEngine(Event.ENGINE_RELEASED));
    }

    private String[] figures() {
        double[] stages = rates.stages();
        double detector = stages[1] + stages[2] + stages[3];
        double network = stages[4] + stages[5] + stages[6];
        String fps = Double.isNaN(rates.framesPerSecond()) ? "-" : number(rates.framesPerSecond());
        return new String[] {
            activity.getString(R.string.hud, fps, number(rates.total())),
            activity.getString(R.string.hud_model, pose.label, model.name, choices.threads),
            activity.getString(R.string.hud_stages, number(detector), number(network),
                    number(rates.total() - detector - network), rates.dropped()),
            activity.getString(heat()),
        };
    }

    private static String number(double value) {
        return String.format(Locale.getDefault(), "%.1f", value);
    }

    private int heat() {
        if (Build.VERSION.SDK_INT < 29) {
            return R.string.thermal_unknown;
        }
        PowerManager power = (PowerManager) activity.getSystemService(Activity.POWER_SERVICE);
        int[] names = {R.string.thermal_none, R.string.thermal_light, R.string.thermal_moderate,
            R.string.thermal_severe};
        int status = power.getCurrentThermalStatus();
        return status < 0 ? R.string.thermal_unknown : status < names.length ? names[status]
                : R.string.thermal_critical;
    }

    // ---- Self-test ----

    private Frame picture() throws Problem {
        Bitmap bitmap = BitmapFactory.decodeFile(catalogue.picture.getPath());
        if (bitmap == null) {
            throw new Problem(Sentence.MODEL_DAMAGED, catalogue.picture.getName(), "PNG");
        }
        return FileSource.frame(bitmap);
    }

    /** The built-in picture through the whole, against what Python found. */
    void test() {
        say(R.id.test, Texts.of(activity, Sentence.TEST_RUNNING));
        worker.ask(pipeline -> {
            Person[] people = pipeline.look(picture(), null);
            SelfTest test = SelfTest.judge(pose, model, people);
            String text = test.verdict == Sentence.TEST_MISSED
                    ? Texts.of(activity, test.verdict, test.found, test.expected)
                    : test.verdict == Sentence.TEST_MISSING ? Texts.of(activity, test.verdict)
                    : Texts.of(activity, test.verdict, test.farthest, test.allowed);
            Log.i(LOG, "self-test: " + test.verdict + " " + test.farthest);
            if (test.passed()) {
                choices.noteTested(model.sha256);
            }
            say(R.id.test, (test.passed() ? "\u2705 " : "\u274C ") + text);
        });
    }

    private void say(int field, String text) {
        activity.runOnUiThread(() -> listener.onSaid(field, text));
    }

    // ---- Measurement ----

    void measureWhenReady(String name) {
        label = name;
    }

    /** Measures all models of the network into a results file; a second call stops it. */
    void measure(String name) {
        if (measuring) {
            measuring = false;
            return;
        }
        if (catalogue == null || pose == null) {
            return;
        }
        measuring = true;
        File folder = activity.getExternalFilesDir(null);
        File file = new File(folder == null ? activity.getFilesDir() : folder, "bench.jsonl");
        say(R.id.test, activity.getString(R.string.measuring, file.getPath()));
        worker.ask(pipeline -> {
            try {
                Bench.Options options = new Bench.Options();
                options.label = name;
                Machine machine = new Machine(cpu, Build.MANUFACTURER + " " + Build.MODEL, Build.HARDWARE,
                        "Android " + Build.VERSION.RELEASE + " (API " + Build.VERSION.SDK_INT + ")",
                        catalogue.content.getJSONObject("core_kinds"));
                String started = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ssZ", Locale.ROOT).format(new Date());
                Bench.run(catalogue, pose, cpu, picture(), machine, options, PaddleEngine::load, () -> !measuring,
                        started, file);
                Log.i(LOG, "bench: " + file.getPath());
                say(R.id.test, activity.getString(R.string.measured, file.getPath()));
            } catch (IOException | JSONException error) {
                say(R.id.test, Texts.of(activity, Sentence.FILE_NOT_WRITTEN, error.getMessage()));
            } finally {
                measuring = false;
            }
        });
    }

    // ---- Recording ----

    boolean records() {
        return records;
    }

    void record(File file) {
        records = true;
        worker.post(() -> {
            try {
                jointsFile = file;
                frames = 0;
                joints = new JointsFile(file);
            } catch (IOException error) {
                close(Texts.of(activity, Sentence.FILE_NOT_WRITTEN, error.getMessage()));
            }
        });
    }

    /** Ends the file; send: and offers it to other apps. */
    void stopRecording(boolean send) {
        if (!records) {
            return;
        }
        worker.post(() -> {
            if (joints == null) {
                return;
            }
            try {
                joints.close();
                close(activity.getString(R.string.recorded, jointsFile.getName()));
                if (send) {
                    activity.runOnUiThread(() -> listener.onRecorded(jointsFile));
                }
            } catch (IOException error) {
                close(Texts.of(activity, Sentence.FILE_NOT_WRITTEN, error.getMessage()));
            }
        });
    }

    private void close(String said) {
        joints = null;
        records = false;
        say(R.id.test, said);
    }
}
