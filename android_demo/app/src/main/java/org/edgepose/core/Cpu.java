package org.edgepose.core;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** The processor as /proc/cpuinfo describes it; what is not said there is taken as not there. */
public final class Cpu {
    public final boolean arm;
    public final List<String> parts; // of each core: implementer/part, for example "0x41/0xd05"
    public final Set<String> features; // those that every core has

    private Cpu(boolean arm, List<String> parts, Set<String> features) {
        this.arm = arm;
        this.parts = Collections.unmodifiableList(parts);
        this.features = Collections.unmodifiableSet(features);
    }

    /** This machine's. */
    public static Cpu here() {
        String text = "";
        try {
            text = Files.text(new File("/proc/cpuinfo"));
        } catch (IOException error) {
            // Nothing is known of it then, and nothing is assumed.
        }
        String architecture = System.getProperty("os.arch", "");
        return parse(text, architecture.startsWith("aarch64") || architecture.startsWith("arm"));
    }

    public static Cpu parse(String text, boolean arm) {
        List<String> parts = new ArrayList<>();
        Set<String> everywhere = null;
        String implementer = "";
        for (String line : text.split("\n")) {
            String[] words = line.split(":", 2);
            String key = words[0].trim().toLowerCase(Locale.ROOT);
            String value = words.length < 2 ? "" : words[1].trim();
            if (key.equals("processor") && value.matches("\\d+")) {
                implementer = "";
                parts.add("unknown");
            } else if (key.equals("cpu implementer")) {
                implementer = hexadecimal(value);
            } else if (key.equals("cpu part") && !parts.isEmpty()) {
                parts.set(parts.size() - 1, implementer + "/" + hexadecimal(value));
            } else if (key.equals("features")) {
                Set<String> these = new HashSet<>(Arrays.asList(value.split("\\s+")));
                if (everywhere == null) {
                    everywhere = these;
                } else {
                    everywhere.retainAll(these);
                }
            }
        }
        return new Cpu(arm, parts, everywhere == null ? Collections.<String>emptySet() : everywhere);
    }

    private static String hexadecimal(String value) {
        try {
            return "0x" + Integer.toHexString(Integer.decode(value));
        } catch (NumberFormatException error) {
            return value;
        }
    }

    /** Half-precision arithmetic: without it a model in FP16 is an illegal instruction. */
    public boolean hasFp16() {
        return features.contains("asimdhp");
    }

    /** Whether Paddle-Lite's INT8 kernels multiply with `sdot`: only if it knows every core by its number. */
    public boolean engineUsesSdot(Set<String> known) {
        return features.contains("asimddp") && !parts.isEmpty() && known.containsAll(parts);
    }
}
