package org.edgepose.core;

import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** This device as a results file describes it (lite_deploy/bench/machine.py); what it does not tell stays empty. */
public final class Machine {
    private static final File CORES = new File("/sys/devices/system/cpu");
    private final Cpu cpu;
    private final String model;
    private final String soc;
    private final String system;
    private final Map<String, String> kinds = new LinkedHashMap<>();

    /**
     * @param kinds names of cores by implementer/part, of app.json
     */
    public Machine(Cpu cpu, String model, String soc, String system, JSONObject kinds) throws JSONException {
        this.cpu = cpu;
        this.model = model;
        this.soc = soc;
        this.system = system;
        JSONArray names = kinds.names();
        for (int i = 0; names != null && i < names.length(); i++) {
            this.kinds.put(names.getString(i), kinds.getString(names.getString(i)));
        }
    }

    JSONObject describe() throws JSONException {
        JSONArray instructions = new JSONArray();
        String[][] known = {{"asimdhp", "fp16"}, {"asimddp", "dotprod"}, {"i8mm", "i8mm"}};
        for (String[] each : known) {
            if (cpu.features.contains(each[0])) {
                instructions.put(each[1]);
            }
        }
        String architecture = System.getProperty("os.arch", "");
        return new JSONObject().put("model", model).put("soc", soc).put("system", system)
                .put("kernel", System.getProperty("os.name", "") + " " + System.getProperty("os.version", ""))
                .put("architecture", architecture).put("bits", architecture.contains("64") ? 64 : 32)
                .put("instructions", instructions).put("cores", cores()).put("clusters", clusters())
                .put("memory_mb", memory("MemTotal:")).put("free_mb", memory("MemAvailable:"))
                .put("temperatures", temperatures()).put("battery", "").put("arm", cpu.arm);
    }

    JSONArray numbers() {
        JSONArray all = new JSONArray();
        for (int i = 0; i < cpu.parts.size(); i++) {
            all.put(i);
        }
        return all;
    }

    private int clock(int core, String name) {
        return (int) number(new File(CORES, "cpu" + core + "/cpufreq/" + name));
    }

    private String kind(int core) {
        String part = cpu.parts.get(core);
        String name = kinds.get(part);
        return name == null ? "part " + part : name;
    }

    private JSONArray cores() throws JSONException {
        JSONArray all = new JSONArray();
        for (int i = 0; i < cpu.parts.size(); i++) {
            all.put(new JSONObject().put("number", i).put("kind", kind(i))
                    .put("clock", clock(i, "cpuinfo_max_freq") / 1000)
                    .put("limit", clock(i, "scaling_max_freq") / 1000)
                    .put("governor", line(new File(CORES, "cpu" + i + "/cpufreq/scaling_governor"))));
        }
        return all;
    }

    /** Cores by kind and clock, fastest first. */
    private JSONArray clusters() throws JSONException {
        Map<String, List<Integer>> groups = new LinkedHashMap<>();
        for (int i = 0; i < cpu.parts.size(); i++) {
            String key = clock(i, "cpuinfo_max_freq") + " " + kind(i);
            if (!groups.containsKey(key)) {
                groups.put(key, new ArrayList<Integer>());
            }
            groups.get(key).add(i);
        }
        List<List<Integer>> ordered = new ArrayList<>(groups.values());
        Collections.sort(ordered, new Comparator<List<Integer>>() {
            @Override
            public int compare(List<Integer> a, List<Integer> b) {
                return clock(b.get(0), "cpuinfo_max_freq") - clock(a.get(0), "cpuinfo_max_freq");
            }
        });
        String[][] names = {{}, {"all"}, {"big", "little"}, {"big", "middle", "little"}};
        JSONArray all = new JSONArray();
        for (int i = 0; i < ordered.size(); i++) {
            String name = ordered.size() < names.length ? names[ordered.size()][i] : "cluster" + i;
            int first = ordered.get(i).get(0);
            all.put(new JSONObject().put("name", name).put("cores", new JSONArray(ordered.get(i)))
                    .put("kind", kind(first)).put("clock", clock(first, "cpuinfo_max_freq") / 1000));
        }
        return all;
    }

    /** Each core's clock now, in kHz; 0 where the system does not tell. */
    JSONArray clocks() {
        JSONArray all = new JSONArray();
        for (int i = 0; i < cpu.parts.size(); i++) {
            all.put(clock(i, "scaling_cur_freq"));
        }
        return all;
    }

    private static JSONObject temperatures() throws JSONException {
        JSONObject all = new JSONObject();
        File[] zones = new File("/sys/class/thermal").listFiles();
        for (File zone : zones == null ? new File[0] : zones) {
            double degrees = number(new File(zone, "temp"));
            degrees = Math.abs(degrees) >= 1000 ? degrees / 1000 : degrees;
            if (zone.getName().startsWith("thermal_zone") && degrees > 0 && degrees < 150) {
                all.put(line(new File(zone, "type")) + "." + zone.getName().substring(12), degrees);
            }
        }
        return all;
    }

    /** The highest temperature of the processor's sensors, of all if none is named so; null: none can be read. */
    Double hottest() throws JSONException {
        JSONObject all = temperatures();
        Double named = null;
        Double any = null;
        JSONArray names = all.names();
        for (int i = 0; names != null && i < names.length(); i++) {
            double value = all.getDouble(names.getString(i));
            any = any == null ? value : Math.max(any, value);
            if (names.getString(i).matches("(?i).*(cpu|soc|tsens|x86_pkg).*")) {
                named = named == null ? value : Math.max(named, value);
            }
        }
        return named == null ? any : named;
    }

    private static long memory(String key) {
        return field(new File("/proc/meminfo"), key) / 1024;
    }

    /** Most memory that the process ever had, in kB. */
    static long peakMemory() {
        return field(new File("/proc/self/status"), "VmHWM:");
    }

    /** How often another program took the core away from this thread. */
    static long preempted() {
        File own = new File("/proc/thread-self/status");
        return field(own.canRead() ? own : new File("/proc/self/status"), "nonvoluntary_ctxt_switches:");
    }

    private static long field(File file, String key) {
        try {
            for (String line : Files.text(file).split("\n")) {
                if (line.startsWith(key)) {
                    return Long.parseLong(line.substring(key.length()).replace("kB", "").trim());
                }
            }
        } catch (IOException | NumberFormatException error) {
            // Not told.
        }
        return 0;
    }

    private static String line(File file) {
        try {
            return file.canRead() ? Files.text(file).trim() : "";
        } catch (IOException error) {
            return "";
        }
    }

    private static double number(File file) {
        try {
            return Double.parseDouble(line(file));
        } catch (NumberFormatException error) {
            return 0;
        }
    }
}
