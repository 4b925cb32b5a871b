package org.edgepose.core;

import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Measures the models of a network on this device and writes the results file of `lite-deploy bench`
 * (docs/benchmark.md), so that an app's run and a runner's lie in one report. Runs on the thread that is to own the
 * engines. Unlike the runner, whose rounds are processes, the app loads the model anew for each round.
 */
public final class Bench {
    private static final int WINDOW = 8; // of a warm-up: lite_deploy/bench/warmup.py
    private static final double TOLERANCE = 0.02;
    private static final double WRONG = 1e9; // a difference as large as can be: JSON has no infinity

    /** How much to measure. */
    public static final class Options {
        public int[] threads = {1, 2, 4};
        public int rounds = 5;
        public int runs = 50;
        public double seconds = 10; // for the runs of a round
        public double warmupSeconds = 10;
        public String label = "";
    }

    /** Asked between runs; true ends the measurement, whose file then says so. */
    public interface Stop {
        boolean asked();
    }

    private final Catalogue catalogue;
    private final Description pose;
    private final Frame picture;
    private final Machine machine;
    private final Options options;
    private final Engine.Loader loader;
    private final Stop stop;
    private final FileOutputStream out;
    private final float[] box;

    private Bench(Catalogue catalogue, Description pose, Frame picture, Machine machine, Options options,
            Engine.Loader loader, Stop stop, FileOutputStream out) throws JSONException {
        this.catalogue = catalogue;
        this.pose = pose;
        this.picture = picture;
        this.machine = machine;
        this.options = options;
        this.loader = loader;
        this.stop = stop;
        this.out = out;
        JSONArray sides = catalogue.content.getJSONArray("box");
        box = new float[] {(float) sides.getDouble(0), (float) sides.getDouble(1), (float) sides.getDouble(2),
            (float) sides.getDouble(3)};
    }

    /**
     * Measures into a new file.
     *
     * @param picture the built-in one
     * @param started ISO 8601, with the time zone
     */
    public static void run(Catalogue catalogue, Description pose, Cpu cpu, Frame picture, Machine machine,
            Options options, Engine.Loader loader, Stop stop, String started, File file) throws Problem, IOException {
        try (FileOutputStream out = new FileOutputStream(file)) {
            Bench bench = new Bench(catalogue, pose, picture, machine, options, loader, stop, out);
            String reason = "interrupted";
            try {
                List<Catalogue.Choice> choices = catalogue.choices(pose, cpu);
                bench.write(bench.about(choices, started));
                bench.measure(choices);
                reason = stop.asked() ? "interrupted" : "complete";
            } finally {
                bench.write(line("end").put("reason", reason));
            }
        } catch (JSONException error) {
            throw new Problem(Sentence.MODEL_DAMAGED, "app.json", error.getMessage());
        }
    }

    private static JSONObject line(String kind) throws JSONException {
        return new JSONObject().put("schema", 1).put("kind", kind);
    }

    private void write(JSONObject line) throws IOException {
        out.write((line + "\n").getBytes(Files.UTF_8));
        out.getFD().sync();
    }

    private JSONObject about(List<Catalogue.Choice> choices, String started) throws JSONException {
        JSONArray cases = new JSONArray();
        for (int threads : options.threads) {
            for (Catalogue.Choice each : choices) {
                if (each.runs) {
                    cases.put(new JSONArray().put(each.model.name).put(threads).put("any"));
                }
            }
        }
        JSONObject how = new JSONObject().put("runner", "app").put("rounds", options.rounds)
                .put("runs", options.runs).put("seconds", options.seconds)
                .put("warmup_seconds", options.warmupSeconds).put("cases", cases);
        JSONObject measured = catalogue.content.getJSONObject("artifacts").getJSONObject(pose.label);
        return line("run").put("started", started).put("device", "app").put("label", options.label)
                .put("machine", machine.describe()).put("artifact", measured)
                .put("tools", catalogue.content.getJSONObject("tools")).put("options", how).put("folder", "");
    }

    private void measure(List<Catalogue.Choice> choices) throws JSONException, IOException {
        List<Model> sound = new ArrayList<>();
        for (Catalogue.Choice each : choices) {
            if (each.runs && !stop.asked() && isRight(each.model)) {
                sound.add(each.model);
            }
        }
        for (int round = 1; round <= options.rounds; round++) {
            for (int i = 0; i < sound.size() * options.threads.length; i++) {
                if (stop.asked()) {
                    return;
                }
                // Each round begins with another case, so that drift does not always hit the same.
                int at = (i + round - 1) % (sound.size() * options.threads.length);
                visit(sound.get(at % sound.size()), options.threads[at / sound.size()], round);
            }
        }
    }

    private Pipeline open(Model model, int threads) throws Problem {
        return Pipeline.open(pose, model, null, null, new Pipeline.Following(), threads, loader);
    }

    /** Right before fast: compares the outputs with those that the model must give, and writes the line of it. */
    private boolean isRight(Model model) throws JSONException, IOException {
        try {
            Pipeline pipeline = open(model, 1);
            try {
                Person[] people = pipeline.look(picture, box);
                JSONObject line = compare(model, pipeline.outputs(), people);
                write(line);
                if (!line.getBoolean("passed")) {
                    fail(model, 1, "wrong output: off by " + line.getDouble("difference") + ", joints by "
                            + line.getDouble("moved") + " pixels; not measured");
                }
                return line.getBoolean("passed");
            } finally {
                pipeline.close();
            }
        } catch (Problem problem) {
            fail(model, 1, problem.getMessage());
            return false;
        }
    }

    private JSONObject compare(Model model, float[][] outputs, Person[] people) throws JSONException, IOException {
        JSONObject about = catalogue.content.getJSONObject("expected").getJSONObject(pose.label + "/" + model.name);
        ByteBuffer bytes = ByteBuffer.wrap(Files.bytes(new File(pose.folder, about.getString("file"))));
        float[] expected = new float[bytes.capacity() / 4];
        bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(expected);
        double moved = people.length == 1 ? moved(about.getJSONArray("keypoints"), people[0]) : -1;
        double difference = 0;
        double correlation = 1;
        int at = 0;
        for (float[] found : outputs) { // of several outputs the worst counts
            if (at + found.length > expected.length) {
                difference = WRONG;
                break;
            }
            float[] right = Arrays.copyOfRange(expected, at, at + found.length);
            difference = Math.max(difference, difference(right, found));
            correlation = Math.min(correlation, correlation(right, found));
            at += found.length;
        }
        JSONArray limits = catalogue.content.getJSONObject("limits").getJSONArray(model.precision);
        boolean passed = at == expected.length && moved >= 0 && moved <= about.getDouble("allowed")
                && difference <= limits.getDouble(0) && correlation >= limits.getDouble(1);
        return line("check").put("model", model.name).put("expected_by", about.getString("by"))
                .put("difference", difference).put("correlation", correlation).put("moved", moved)
                .put("passed", passed);
    }

    private double moved(JSONArray expected, Person person) throws JSONException {
        double sure = catalogue.content.getDouble("sure");
        double farthest = 0;
        for (int i = 0; i < expected.length(); i++) {
            JSONArray joint = expected.getJSONArray(i);
            if (joint.getDouble(2) >= sure) {
                farthest = Math.max(farthest, Math.hypot(joint.getDouble(0) - person.joints[3 * i],
                        joint.getDouble(1) - person.joints[3 * i + 1]));
            }
        }
        return farthest;
    }

    private static double difference(float[] expected, float[] found) {
        double largest = 0;
        double peak = 0;
        for (int i = 0; i < found.length; i++) {
            if (Float.isNaN(found[i]) || Float.isInfinite(found[i])) {
                return WRONG;
            }
            largest = Math.max(largest, Math.abs((double) expected[i] - found[i]));
            peak = Math.max(peak, Math.abs(expected[i]));
        }
        return peak > 0 ? largest / peak : WRONG;
    }

    private static double correlation(float[] a, float[] b) {
        double meanA = 0;
        double meanB = 0;
        for (int i = 0; i < a.length; i++) {
            meanA += a[i] / (double) a.length;
            meanB += b[i] / (double) a.length;
        }
        double both = 0;
        double squaresA = 0;
        double squaresB = 0;
        for (int i = 0; i < a.length; i++) {
            both += (a[i] - meanA) * (b[i] - meanB);
            squaresA += (a[i] - meanA) * (a[i] - meanA);
            squaresB += (b[i] - meanB) * (b[i] - meanB);
        }
        double spread = Math.sqrt(squaresA * squaresB);
        return spread > 0 ? both / spread : 0; // not a number: 0 too
    }

    private void visit(Model model, int threads, int round) throws JSONException, IOException {
        Double warmer = machine.hottest();
        try {
            long began = System.nanoTime();
            Pipeline pipeline = open(model, threads);
            double load = milliseconds(began);
            try {
                write(timed(pipeline, line("visit").put("model", model.name).put("threads", threads)
                        .put("cluster", "any").put("round", round).put("runner", "app")
                        .put("engine", "paddle-lite").put("engine_version", pipeline.engineVersion())
                        .put("cores", machine.numbers()).put("load_ms", rounded(load)), warmer));
            } finally {
                pipeline.close();
            }
        } catch (Problem problem) {
            fail(model, threads, problem.getMessage());
        }
    }

    private JSONObject timed(Pipeline pipeline, JSONObject line, Double before) throws JSONException, Problem {
        double first = once(pipeline).total();
        List<Double> warmup = new ArrayList<>();
        long began = System.nanoTime();
        while (!isWarm(warmup) && milliseconds(began) < 1e3 * options.warmupSeconds && !stop.asked()) {
            warmup.add(once(pipeline).total());
        }
        JSONArray crop = new JSONArray();
        JSONArray network = new JSONArray();
        JSONArray decode = new JSONArray();
        JSONArray clocks = machine.clocks();
        long switches = Machine.preempted();
        began = System.nanoTime();
        for (int i = 0; i < options.runs && (i == 0 || milliseconds(began) < 1e3 * options.seconds); i++) {
            Times times = once(pipeline);
            crop.put(rounded(times.crop));
            network.put(rounded(times.pose));
            decode.put(rounded(times.decode));
        }
        long preempted = Math.max(0, Machine.preempted() - switches);
        return line.put("first_ms", rounded(first)).put("warmup_runs", warmup.size()).put("warm", isWarm(warmup))
                .put("crop_ms", crop).put("network_ms", network).put("decode_ms", decode)
                .put("peak_kb", Machine.peakMemory())
                .put("clocks_khz", new JSONObject().put("before", clocks).put("after", machine.clocks()))
                .put("others", JSONObject.NULL).put("preempted", preempted)
                .put("temperature_c", new JSONObject().put("before", orNull(before))
                        .put("after", orNull(machine.hottest())))
                .put("cooled_s", 0.0);
    }

    private Times once(Pipeline pipeline) throws Problem {
        pipeline.look(picture, box);
        return pipeline.times();
    }

    private void fail(Model model, int threads, String message) throws JSONException, IOException {
        write(line("failure").put("model", model.name).put("threads", threads).put("cluster", "any")
                .put("message", message));
    }

    /** The medians of the last two windows of runs differ by less than the tolerance. */
    static boolean isWarm(List<Double> runs) {
        int count = runs.size();
        if (count < 2 * WINDOW) {
            return false;
        }
        double before = median(runs.subList(count - 2 * WINDOW, count - WINDOW));
        double last = median(runs.subList(count - WINDOW, count));
        return Math.abs(last - before) <= TOLERANCE * before;
    }

    private static double median(List<Double> values) {
        double[] sorted = new double[values.size()];
        for (int i = 0; i < sorted.length; i++) {
            sorted[i] = values.get(i);
        }
        Arrays.sort(sorted);
        int half = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    private static double milliseconds(long since) {
        return 1e-6 * (System.nanoTime() - since);
    }

    private static double rounded(double milliseconds) {
        return Math.round(milliseconds * 1e4) / 1e4;
    }

    private static Object orNull(Double value) {
        return value == null ? JSONObject.NULL : value;
    }
}
