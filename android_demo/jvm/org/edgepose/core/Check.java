package org.edgepose.core;

import org.json.JSONArray;
import org.json.JSONObject;

import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Answers questions about the app's classes on a plain JVM, for tests/android: a line of JSON in, a line out. What an
 * answer throws comes back as {"error": ...}.
 */
public final class Check {
    private Check() {}

    public static void main(String[] words) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, Files.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            JSONObject answer;
            try {
                answer = answer(new JSONObject(line));
            } catch (Problem problem) {
                answer = new JSONObject().put("problem", problem.sentence.name()).put("error", problem.getMessage());
            } catch (IllegalArgumentException | IllegalStateException error) {
                answer = new JSONObject().put("error", String.valueOf(error.getMessage()));
            }
            System.out.println(answer);
            System.out.flush();
        }
    }

    private static JSONObject answer(JSONObject q) throws Exception {
        switch (q.getString("ask")) {
            case "rotation":
                return new JSONObject().put("rotation",
                        Transform.frameRotation(q.getInt("sensor"), q.getInt("display"), q.getBoolean("front")));
            case "transform":
                Transform t = Transform.of(q.getInt("width"), q.getInt("height"), q.getDouble("view_width"),
                        q.getDouble("view_height"), q.getBoolean("fill"), q.getBoolean("mirrored"));
                return new JSONObject().put("matrix", new JSONArray(t.matrix)).put("scale", t.scale)
                        .put("texture", new JSONArray(Transform.textureMatrix(q.getInt("width"), q.getInt("height"),
                                q.getDouble("view_width"), q.getDouble("view_height"), q.getBoolean("fill"),
                                q.getInt("display"))));
            case "sizes":
                int[] frame = Sizes.nearest(pairs(q.getJSONArray("sizes")), q.getInt("width"), q.getInt("height"));
                int[] preview = Sizes.preview(pairs(q.getJSONArray("previews")), frame, q.getInt("longest"));
                return new JSONObject().put("frame", new JSONArray(frame)).put("preview", new JSONArray(preview));
            case "rgba":
                return rgba(q);
            case "crop":
                return crop(q);
            case "decode":
                return decode(q);
            case "states":
                return states(q.getJSONArray("events"));
            case "choices":
                return choices(q);
            case "model":
                Description described = Description.read(new File(q.getString("folder")));
                NbFile file = NbFile.check(described.model(q.getString("model")));
                return new JSONObject().put("operators", new JSONArray(file.operators))
                        .put("version", file.version).put("parameters", file.parameters);
            case "picture":
                return picture(q);
            case "video":
                return video(q);
            case "screen":
                return screen(q);
            case "self-test":
                return selfTest(q);
            case "bench":
                return bench(q);
            case "owner":
                Owners.pose = Description.read(new File(q.getString("folder")));
                return Owners.run(q.getLong("seed"), q.getInt("steps"));
            case "warm":
                List<Double> runs = new ArrayList<>();
                for (int i = 0; i < q.getJSONArray("runs").length(); i++) {
                    runs.add(q.getJSONArray("runs").getDouble(i));
                }
                return new JSONObject().put("warm", Bench.isWarm(runs));
            case "sentences":
                JSONArray all = new JSONArray();
                for (Sentence each : Sentence.values()) {
                    all.put(each.key());
                }
                return new JSONObject().put("sentences", all);
            default:
                throw new IllegalArgumentException("no such question");
        }
    }

    private static int[][] pairs(JSONArray all) throws Exception {
        int[][] result = new int[all.length()][];
        for (int i = 0; i < result.length; i++) {
            result[i] = new int[] {all.getJSONArray(i).getInt(0), all.getJSONArray(i).getInt(1)};
        }
        return result;
    }

    private static int[] wholes(JSONArray all) throws Exception {
        int[] result = new int[all.length()];
        for (int i = 0; i < result.length; i++) {
            result[i] = all.getInt(i);
        }
        return result;
    }

    static ByteBuffer direct(byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(bytes.length).order(ByteOrder.nativeOrder());
        buffer.put(bytes).rewind();
        return buffer;
    }

    /** YUV planes with strides, upright, as RGBA in a file. */
    private static JSONObject rgba(JSONObject q) throws Exception {
        ByteBuffer[] planes = new ByteBuffer[3];
        for (int i = 0; i < 3; i++) {
            planes[i] = direct(Files.bytes(new File(q.getJSONArray("planes").getString(i))));
        }
        Frame frame = Frame.yuv(q.getInt("width"), q.getInt("height"), planes, wholes(q.getJSONArray("rows")),
                wholes(q.getJSONArray("pixels")), q.getInt("rotation"), q.getBoolean("limited"), 0, false, null);
        ByteBuffer out = ByteBuffer.allocateDirect(4 * frame.width * frame.height);
        frame.toRgba(out);
        byte[] bytes = new byte[out.capacity()];
        out.get(bytes);
        Files.write(new File(q.getString("output")), bytes);
        return new JSONObject().put("width", frame.uprightWidth()).put("height", frame.uprightHeight());
    }

    private static FloatBuffer floats(int count) {
        return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer();
    }

    private static void save(String path, float[] values) throws Exception {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        Files.write(new File(path), bytes.array());
    }

    private static JSONObject crop(JSONObject q) throws Exception {
        double[] matrix = new double[6];
        float[] mean = new float[3];
        float[] std = new float[3];
        for (int i = 0; i < 6; i++) {
            matrix[i] = q.getJSONArray("matrix").getDouble(i);
        }
        for (int i = 0; i < 3; i++) {
            mean[i] = (float) q.getJSONArray("mean").getDouble(i);
            std[i] = (float) q.getJSONArray("std").getDouble(i);
        }
        int width = q.getInt("crop_width");
        int height = q.getInt("crop_height");
        FloatBuffer out = floats(3 * width * height);
        Native.crop(direct(Files.bytes(new File(q.getString("image")))), q.getInt("width"), q.getInt("height"),
                4 * q.getInt("width"), 4, matrix, width, height, mean, std, out);
        float[] values = new float[out.capacity()];
        out.get(values);
        save(q.getString("output"), values);
        return new JSONObject();
    }

    private static JSONObject decode(JSONObject q) throws Exception {
        int joints = q.getInt("joints");
        FloatBuffer maps = direct(Files.bytes(new File(q.getString("maps")))).order(ByteOrder.nativeOrder())
                .asFloatBuffer();
        float[] points = new float[3 * joints];
        Native.decode(maps, joints, q.getInt("height"), q.getInt("width"), q.getInt("method"), q.getInt("blur"),
                points);
        save(q.getString("output"), points);
        return new JSONObject();
    }

    private static JSONObject states(JSONArray events) throws Exception {
        States states = new States();
        JSONArray steps = new JSONArray();
        for (int i = 0; i < events.length(); i++) {
            String name = events.getString(i);
            List<States.Command> todo = name.startsWith("TROUBLE:")
                    ? states.trouble(Sentence.valueOf(name.substring(8)))
                    : states.on(States.Event.valueOf(name));
            JSONArray commands = new JSONArray();
            for (States.Command each : todo) {
                commands.put(each.name());
            }
            steps.put(new JSONObject().put("commands", commands).put("sentence", states.sentence().name())
                    .put("runs", states.runs()).put("source", states.source().name())
                    .put("retry", states.canRetry()));
        }
        return new JSONObject().put("steps", steps);
    }

    private static JSONObject choices(JSONObject q) throws Exception {
        Catalogue catalogue = Catalogue.read(new File(q.getString("catalogue")));
        Cpu cpu = Cpu.parse(q.getString("cpuinfo"), true);
        JSONArray all = new JSONArray();
        for (Catalogue.Choice each : catalogue.choices(catalogue.poses.get(0), cpu)) {
            all.put(new JSONObject().put("model", each.model.name).put("runs", each.runs)
                    .put("cost", Double.isInfinite(each.cost) ? JSONObject.NULL : each.cost)
                    .put("why", each.why.name()));
        }
        JSONObject answer = new JSONObject().put("choices", all).put("fp16", cpu.hasFp16());
        try {
            catalogue.checkLibrary(cpu);
        } catch (Problem problem) {
            answer.put("library", problem.sentence.name());
        }
        return answer;
    }

    private static Pipeline open(Catalogue catalogue, Description pose, String name) throws Problem {
        Description detector = catalogue.detector;
        return Pipeline.open(pose, pose.model(name), detector,
                detector == null ? null : catalogue.best(detector, Cpu.here()), new Pipeline.Following(), 1,
                new Engine.Loader() {
                    @Override
                    public Engine load(Model model, int threads) throws Problem {
                        return PaddleEngine.load(model, threads);
                    }
                });
    }

    static JSONArray people(Person[] people) throws Exception {
        JSONArray all = new JSONArray();
        for (Person each : people) {
            JSONArray box = new JSONArray();
            for (float side : each.box) {
                box.put((double) side);
            }
            JSONArray joints = new JSONArray();
            for (float value : each.joints) {
                joints.put((double) value);
            }
            all.put(new JSONObject().put("id", each.id).put("score", (double) each.score).put("box", box)
                    .put("joints", joints));
        }
        return all;
    }

    private static Frame rgb(JSONObject q, String key) throws Exception {
        return Frame.interleaved(3, q.getInt("width"), q.getInt("height"),
                direct(Files.bytes(new File(q.getString(key)))), 0);
    }

    private static JSONObject picture(JSONObject q) throws Exception {
        Catalogue catalogue = Catalogue.read(new File(q.getString("catalogue")));
        Pipeline pipeline = open(catalogue, catalogue.poses.get(0), q.getString("model"));
        try {
            Person[] found = pipeline.look(rgb(q, "image"), null);
            Times times = pipeline.times();
            return new JSONObject().put("people", people(found)).put("version", pipeline.engineVersion())
                    .put("times", new JSONArray(new double[] {times.detector, times.pose, times.total()}));
        } finally {
            pipeline.close();
        }
    }

    /** The overlay, drawn by the app's own code over a picture, into a PNG. */
    private static JSONObject screen(JSONObject q) throws Exception {
        System.setProperty("java.awt.headless", "true");
        Catalogue catalogue = Catalogue.read(new File(q.getString("catalogue")));
        Description pose = catalogue.poses.get(0);
        Pipeline pipeline = open(catalogue, pose, q.getString("model"));
        try {
            Person[] people = pipeline.follow(rgb(q, "image"));
            java.awt.image.BufferedImage picture = javax.imageio.ImageIO.read(new File(q.getString("picture")));
            boolean mirrored = q.getBoolean("mirrored");
            Screen screen = new Screen(picture, q.getInt("view_width"), q.getInt("view_height"), mirrored);
            Painter.people(screen, people, pose, Transform.of(picture.getWidth(), picture.getHeight(),
                    q.getInt("view_width"), q.getInt("view_height"), false, mirrored), q.getDouble("density"));
            String[] lines = new String[q.getJSONArray("lines").length()];
            for (int i = 0; i < lines.length; i++) {
                lines[i] = q.getJSONArray("lines").getString(i);
            }
            Painter.figures(screen, lines, q.getDouble("density"));
            javax.imageio.ImageIO.write(screen.image, "png", new File(q.getString("output")));
            Times times = pipeline.times();
            return new JSONObject().put("people", people(people)).put("total", times.total());
        } finally {
            pipeline.close();
        }
    }

    /** All frames of a raw RGB file through the worker, as a video's; the joints go into a file. */
    private static JSONObject video(final JSONObject q) throws Exception {
        final Catalogue catalogue = Catalogue.read(new File(q.getString("catalogue")));
        final JointsFile joints = new JointsFile(new File(q.getString("output")));
        final Rates rates = new Rates();
        final int[] count = new int[2];
        final Problem[] failed = new Problem[1];
        Worker worker = new Worker(new Worker.Listener() {
            @Override
            public void ready(String version) {}

            @Override
            public void found(Worker.Result result) {
                try {
                    joints.add(count[0]++, result.seconds, result.people);
                    rates.add(result, result.seconds);
                } catch (java.io.IOException error) {
                    throw new java.io.UncheckedIOException(error);
                }
            }

            @Override
            public void failed(Problem problem) {
                failed[0] = problem;
            }

            @Override
            public void released() {}
        });
        worker.load(new Worker.Opener() {
            @Override
            public Pipeline open() throws Problem {
                return Check.open(catalogue, catalogue.poses.get(0), q.optString("model"));
            }
        });
        int width = q.getInt("width");
        int height = q.getInt("height");
        int size = 3 * width * height;
        try (java.io.RandomAccessFile file = new java.io.RandomAccessFile(q.getString("frames"), "r")) {
            byte[] bytes = new byte[size];
            for (int i = 0; i < file.length() / size; i++) {
                file.readFully(bytes);
                worker.put(Frame.interleaved(3, width, height, direct(bytes), i / q.getDouble("rate")));
            }
        }
        worker.put(Frame.interleaved(3, width, height, direct(new byte[size]), 1e6)); // the one before is taken
        worker.drop();
        worker.end();
        worker.join();
        joints.close();
        if (failed[0] != null) {
            throw failed[0];
        }
        return new JSONObject().put("frames", count[0]).put("rate", rates.framesPerSecond());
    }

    private static JSONObject selfTest(JSONObject q) throws Exception {
        Catalogue catalogue = Catalogue.read(new File(q.getString("catalogue")));
        Description pose = catalogue.poses.get(0);
        Model model = pose.model(q.getString("model"));
        Pipeline pipeline = open(catalogue, pose, model.name);
        try {
            SelfTest test = SelfTest.judge(pose, model, pipeline.look(rgb(q, "image"), null));
            return new JSONObject().put("verdict", test.verdict.name()).put("farthest", test.farthest)
                    .put("allowed", test.allowed).put("found", test.found).put("expected", test.expected);
        } finally {
            pipeline.close();
        }
    }

    private static JSONObject bench(JSONObject q) throws Exception {
        Catalogue catalogue = Catalogue.read(new File(q.getString("catalogue")));
        Cpu cpu = Cpu.here();
        Bench.Options options = new Bench.Options();
        options.threads = wholes(q.getJSONArray("threads"));
        options.rounds = q.getInt("rounds");
        options.runs = q.getInt("runs");
        options.warmupSeconds = q.getDouble("warmup_seconds");
        Machine machine = new Machine(cpu, "a JVM", "", String.format(Locale.ROOT, "Java %s",
                System.getProperty("java.version")), catalogue.content.getJSONObject("core_kinds"));
        final int[] left = {q.optInt("stop_after", Integer.MAX_VALUE)};
        Bench.run(catalogue, catalogue.poses.get(0), cpu, rgb(q, "image"), machine, options, new Engine.Loader() {
            @Override
            public Engine load(Model model, int threads) throws Problem {
                return PaddleEngine.load(model, threads);
            }
        }, new Bench.Stop() {
            @Override
            public boolean asked() {
                return left[0]-- <= 0;
            }
        }, "2026-01-01T00:00:00+0000", new File(q.getString("output")));
        return new JSONObject();
    }
}
