package org.edgepose.core;

import java.util.Collections;
import java.util.List;

/** One Paddle-Lite model of an artifact folder. */
public final class Model {
    public final String name; // as in pose.json, for example arm_fp16
    public final String path; // of the file
    public final String target; // arm or x86
    public final String precision; // fp32, fp16 or int8
    public final String sha256;
    public final long bytes;
    public final List<String> extra; // operators that only libraries `with_extra` have
    public final int outputs; // how many tensors it gives
    public final String tool; // the version of Paddle-Lite that made it

    Model(String name, String path, String target, String precision, String sha256, long bytes, List<String> extra,
            int outputs, String tool) {
        this.name = name;
        this.path = path;
        this.target = target;
        this.precision = precision;
        this.sha256 = sha256;
        this.bytes = bytes;
        this.extra = Collections.unmodifiableList(extra);
        this.outputs = outputs;
        this.tool = tool;
    }
}
