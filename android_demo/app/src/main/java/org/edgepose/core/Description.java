package org.edgepose.core;

import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * What a pose.json says (docs/export.md), version 2, of a pose network on one person's crop or of a detector. What
 * it does not know is refused and never guessed; the C++ runner's description.cc reads the same.
 */
public final class Description {
    public final File folder;
    public final String label; // the folder's name
    public final boolean detector;
    public final int width;
    public final int height;
    public final List<Model> models;
    public final List<String> joints; // names
    public final double[] sigmas;
    public final int[][] limbs; // each: two joints, colour 0xRRGGBB
    public final int[] sides; // of each joint: -1 left, 1 right, 0 neither
    public final JSONObject selfTest; // null: there is none
    public final JSONObject content;
    final double[] normalisation = new double[6]; // mean, std
    final double padding;
    final int crop; // 0: a crop of W pixels is W - 1 long, 1: W
    final int codec; // heatmap, simcc; of a detector: picodet, fairmot
    final int decoding;
    final int blur;
    final int blurY;
    final int grid;
    final double split;
    final int person;
    final int aligned;
    final int most;
    final double nms;

    /** Reads FOLDER/pose.json. */
    public static Description read(File folder) throws Problem {
        File file = new File(folder, "pose.json");
        try {
            return new Description(folder, new JSONObject(Files.text(file)));
        } catch (IOException | JSONException error) {
            throw new Problem(Sentence.MODEL_DAMAGED, folder.getName() + "/pose.json", error.getMessage());
        }
    }

    private Description(File folder, JSONObject json) throws JSONException {
        this.folder = folder;
        label = folder.getName();
        content = json;
        expect("edge-pose artifact".equals(json.getString("format")) && json.getInt("version") == 2,
                "expected an artifact of version 2");
        JSONObject input = json.getJSONObject("input");
        JSONObject output = json.getJSONObject("output");
        width = whole(input, "width", 2, 8192);
        height = whole(input, "height", 2, 8192);
        expect("NCHW".equals(input.getString("layout")) && "RGB".equals(input.getString("color")),
                "input: expected NCHW and RGB");
        readNormalisation(input);
        String name = output.getString("name");
        boolean fairmot = "fairmot".equals(name);
        detector = fairmot || "picodet".equals(name);
        JSONArray tensors = json.getJSONArray("tensors");
        models = Collections.unmodifiableList(readModels(json, tensors.length()));
        selfTest = json.isNull("self_test") ? null : json.getJSONObject("self_test");
        if (detector) {
            String fit = fairmot ? "letterbox" : "squeeze";
            expect(fit.equals(input.getString("fit")), "input: fit: expected " + fit);
            expect(tensors.length() == 4, "tensors: expected a detector's four maps");
            person = fairmot ? 0 : whole(output, "person", 0, 100000);
            aligned = !fairmot && output.getBoolean("aligned") ? 1 : 0;
            most = whole(output, "most", 1, 100000);
            nms = fairmot ? 0 : output.getDouble("nms");
            codec = fairmot ? 1 : 0;
            crop = 0;
            joints = Collections.emptyList();
            sigmas = new double[0];
            limbs = new int[0][];
            sides = new int[0];
            decoding = grid = 0;
            blur = blurY = 1;
            padding = split = 1;
            return;
        }
        expect("heatmap".equals(name) || "simcc".equals(name),
                "output '" + name + "': expected heatmap, simcc, picodet or fairmot");
        expect("person".equals(input.getString("fit")), "input: fit: expected person");
        person = aligned = 0;
        most = 1;
        nms = 0;
        padding = input.getDouble("padding");
        crop = index(input.optString("crop", "udp"), "udp", "plain");
        codec = "simcc".equals(name) ? 1 : 0;
        expect(tensors.length() == 1 + codec, "tensors: expected " + (1 + codec));
        decoding = index(output.getString("decode"), "max", "shift", "dark");
        if (codec == 1) {
            blur = output.getJSONArray("blur").getInt(0) | 1;
            blurY = output.getJSONArray("blur").getInt(1) | 1;
            split = output.getDouble("split");
            grid = 0;
        } else {
            blur = blurY = whole(output, "blur", 1, 31) | 1;
            grid = index(output.getString("grid"), "stride", "udp");
            split = 1;
        }
        JSONObject skeleton = json.getJSONObject("skeleton");
        joints = Collections.unmodifiableList(strings(skeleton.getJSONArray("joints")));
        JSONArray spread = skeleton.getJSONArray("sigmas");
        sigmas = new double[spread.length()];
        for (int i = 0; i < sigmas.length; i++) {
            sigmas[i] = spread.getDouble(i);
        }
        expect(sigmas.length == joints.size()
                && tensors.getJSONObject(0).getJSONArray("shape").getInt(0) == joints.size(),
                "skeleton: expected a sigma and an output for each joint");
        limbs = readLimbs(skeleton);
        sides = readSides(skeleton);
    }

    private void readNormalisation(JSONObject input) throws JSONException {
        boolean raw = index(input.getString("normalise"), "caller", "model") == 1; // the network wants 0 to 255
        for (int c = 0; c < 3; c++) {
            normalisation[c] = raw ? 0 : input.getJSONArray("mean").getDouble(c);
            normalisation[3 + c] = raw ? 1 / 255.0f : input.getJSONArray("std").getDouble(c);
        }
    }

    private List<Model> readModels(JSONObject json, int outputs) throws JSONException {
        List<Model> found = new ArrayList<>();
        String tool = json.getJSONObject("tools").optString("paddlelite");
        JSONArray all = json.getJSONArray("models");
        for (int i = 0; i < all.length(); i++) {
            JSONObject each = all.getJSONObject(i);
            if (!"paddle-lite".equals(each.getString("engine"))) {
                continue;
            }
            JSONObject file = each.getJSONArray("files").getJSONObject(0);
            String path = file.getString("file");
            expect(path.matches("[A-Za-z0-9_][A-Za-z0-9_.-]*"), "models: a file's name: " + path);
            JSONArray extra = each.isNull("extra") ? new JSONArray() : each.getJSONArray("extra");
            found.add(new Model(each.getString("name"), new File(folder, path).getPath(), each.getString("target"),
                    each.getString("precision"), file.getString("sha256"), file.getLong("bytes"), strings(extra),
                    outputs, tool));
        }
        return found;
    }

    /** Pairs of joints, and a third number: the colour, 0xRRGGBB. */
    private int[][] readLimbs(JSONObject skeleton) throws JSONException {
        JSONArray all = skeleton.getJSONArray("limbs");
        int[][] result = new int[all.length()][];
        for (int i = 0; i < result.length; i++) {
            JSONArray pair = all.getJSONObject(i).getJSONArray("joints");
            JSONArray color = all.getJSONObject(i).getJSONArray("color");
            int rgb = color.getInt(0) << 16 | color.getInt(1) << 8 | color.getInt(2);
            result[i] = new int[] {joint(pair.getString(0)), joint(pair.getString(1)), rgb};
        }
        return result;
    }

    private int[] readSides(JSONObject skeleton) throws JSONException {
        int[] result = new int[joints.size()];
        JSONArray pairs = skeleton.getJSONArray("pairs");
        for (int i = 0; i < pairs.length(); i++) {
            result[joint(pairs.getJSONArray(i).getString(0))] = -1;
            result[joint(pairs.getJSONArray(i).getString(1))] = 1;
        }
        return result;
    }

    private int joint(String named) throws JSONException {
        expect(joints.contains(named), "skeleton: no joint " + named);
        return joints.indexOf(named);
    }

    /** A model by its name; null: there is none. */
    public Model model(String name) {
        for (Model each : models) {
            if (each.name.equals(name)) {
                return each;
            }
        }
        return null;
    }

    private static List<String> strings(JSONArray array) throws JSONException {
        List<String> result = new ArrayList<>();
        for (int i = 0; i < array.length(); i++) {
            result.add(array.getString(i));
        }
        return result;
    }

    private static int whole(JSONObject from, String key, int least, int most) throws JSONException {
        int value = from.getInt(key);
        expect(value >= least && value <= most,
                String.format(Locale.ROOT, "%s: expected %d to %d, found %d", key, least, most, value));
        return value;
    }

    private static int index(String word, String... words) throws JSONException {
        for (int i = 0; i < words.length; i++) {
            if (words[i].equals(word)) {
                return i;
            }
        }
        throw new JSONException("'" + word + "': expected one of " + Arrays.toString(words));
    }

    private static void expect(boolean right, String what) throws JSONException {
        if (!right) {
            throw new JSONException(what);
        }
    }
}
