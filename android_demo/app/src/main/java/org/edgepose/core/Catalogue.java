package org.edgepose.core;

import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What `lite-deploy android` put into the app (app.json): networks, what the engine's library can, what models cost. */
public final class Catalogue {
    /** A model and what speaks for or against it here. */
    public static final class Choice {
        public final Model model;
        public final boolean runs;
        public final double cost; // instructions; infinite: unknown
        public final Sentence why;
        public final Object argument; // of the sentence, or null

        Choice(Model model, boolean runs, double cost, Sentence why, Object argument) {
            this.model = model;
            this.runs = runs;
            this.cost = cost;
            this.why = why;
            this.argument = argument;
        }
    }

    public final List<Description> poses = new ArrayList<>();
    public final Description detector;
    public final File picture; // of the self-test
    public final boolean library; // whether Paddle-Lite's library is in the app
    public final boolean libraryFp16; // whether it was built for ARMv8.2
    public final boolean libraryExtra; // and `with_extra`
    public final JSONObject content;
    private final Set<String> sdotParts = new HashSet<>();

    public static Catalogue read(File folder) throws Problem {
        try {
            return new Catalogue(folder, new JSONObject(Files.text(new File(folder, "app.json"))));
        } catch (IOException | JSONException error) {
            throw new Problem(Sentence.NO_MODELS);
        }
    }

    private Catalogue(File folder, JSONObject json) throws JSONException, Problem {
        content = json;
        JSONArray names = json.getJSONArray("poses");
        for (int i = 0; i < names.length(); i++) {
            poses.add(Description.read(new File(folder, names.getString(i))));
        }
        detector = json.isNull("detector") ? null : Description.read(new File(folder, json.getString("detector")));
        picture = new File(folder, json.getString("picture"));
        JSONObject about = json.getJSONObject("library");
        library = about.getBoolean("present");
        libraryFp16 = about.getBoolean("fp16");
        libraryExtra = about.getBoolean("extra");
        JSONArray parts = json.getJSONArray("sdot_parts");
        for (int i = 0; i < parts.length(); i++) {
            sdotParts.add(parts.getString(i));
        }
    }

    /** Throws if the engine's library cannot run on this processor at all. */
    public void checkLibrary(Cpu cpu) throws Problem {
        if (!library) {
            throw new Problem(Sentence.NO_ENGINE);
        }
        if (cpu.arm && libraryFp16 && !cpu.hasFp16()) {
            throw new Problem(Sentence.ENGINE_UNFIT, "ARMv8.2 FP16");
        }
    }

    /** Throws if a model must not be run here. */
    public void checkRuns(Model model, Cpu cpu) throws Problem {
        Choice choice = judge(model, cpu, 0);
        if (!choice.runs) {
            throw new Problem(choice.why, choice.argument == null ? new Object[0] : new Object[] {choice.argument});
        }
    }

    /**
     * A network's models for this kind of processor: those that run first, the fewest instructions first, those of
     * unknown cost last. lite_deploy/bench/choose.py has the same rule.
     */
    public List<Choice> choices(Description network, Cpu cpu) throws Problem {
        List<Choice> result = new ArrayList<>();
        for (Model model : network.models) {
            if (model.target.equals(cpu.arm ? "arm" : "x86")) {
                result.add(judge(model, cpu, instructions(network, model, cpu)));
            }
        }
        Collections.sort(result, new Comparator<Choice>() {
            @Override
            public int compare(Choice a, Choice b) {
                return a.runs != b.runs ? (a.runs ? -1 : 1) : Double.compare(a.cost, b.cost);
            }
        });
        return result;
    }

    /** The best of {@link #choices}; throws if there is none. */
    public Model best(Description network, Cpu cpu) throws Problem {
        List<Choice> all = choices(network, cpu);
        if (all.isEmpty() || !all.get(0).runs) {
            throw new Problem(Sentence.NO_MODEL_FITS);
        }
        return all.get(0).model;
    }

    /** Of one inference, as the engine computes INT8 here; 0 if the app does not know. */
    private double instructions(Description network, Model model, Cpu cpu) {
        JSONObject all = content.optJSONObject("instructions");
        JSONObject both = all == null ? null : all.optJSONObject(network.label + "/" + model.name);
        return both == null ? 0 : both.optDouble(cpu.engineUsesSdot(sdotParts) ? "sdot" : "no_sdot", 0);
    }

    private Choice judge(Model model, Cpu cpu, double cost) {
        if ("fp16".equals(model.precision) && cpu.arm && !cpu.hasFp16()) {
            return new Choice(model, false, cost, Sentence.NO_FP16, null);
        }
        if ("fp16".equals(model.precision) && !libraryFp16) {
            return new Choice(model, false, cost, Sentence.NO_FP16_LIBRARY, null);
        }
        if (!model.extra.isEmpty() && !libraryExtra) {
            return new Choice(model, false, cost, Sentence.NO_EXTRA_LIBRARY, model.extra.toString());
        }
        if (!(cost > 0)) {
            return new Choice(model, true, Double.POSITIVE_INFINITY, Sentence.COST_UNKNOWN, null);
        }
        if ("int8".equals(model.precision) && !cpu.engineUsesSdot(sdotParts)) {
            return new Choice(model, true, cost, Sentence.INT8_WITHOUT_SDOT, cost / 1e6);
        }
        return new Choice(model, true, cost, Sentence.FEWEST_INSTRUCTIONS, cost / 1e6);
    }
}
