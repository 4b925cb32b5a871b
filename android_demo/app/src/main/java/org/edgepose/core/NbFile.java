package org.edgepose.core;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads a Paddle-Lite model (`.nb`, meta version 2) far enough to know that the engine can open it: the engine ends
 * the process on a file that is cut off, damaged or for another processor. lite_deploy/nb/file.py describes the
 * format; every offset is checked here before it is followed.
 */
public final class NbFile {
    private static final String KERNEL = "__@kernel_type_attr@__";
    private static final int STRING_KIND = 2; // of an attribute
    private static final int STRING_SLOT = 4;

    /** What made it, for example "v2.13-rc". */
    public final String version;
    public final List<String> operators = new ArrayList<>();
    public final Set<Integer> targets = new TreeSet<>(); // 1 host, 2 x86, 4 arm, 6 any
    public final Set<Integer> precisions = new TreeSet<>(); // 1 fp32, 2 int8, 5 fp16
    public final int parameters;

    /** Checks a model's file: its size, its checksum, its content. Throws if it must not be opened. */
    public static NbFile check(Model model) throws Problem {
        byte[] content;
        try {
            content = Files.bytes(new File(model.path));
        } catch (IOException error) {
            throw new Problem(Sentence.MODEL_DAMAGED, model.name, String.valueOf(error.getMessage()));
        }
        if (content.length != model.bytes || !Files.sha256(content).equals(model.sha256)) {
            throw new Problem(Sentence.MODEL_DAMAGED, model.name, "SHA-256");
        }
        NbFile file;
        try {
            file = new NbFile(content);
        } catch (Damaged | IndexOutOfBoundsException error) {
            throw new Problem(Sentence.MODEL_DAMAGED, model.name, String.valueOf(error.getMessage()));
        }
        int target = "arm".equals(model.target) ? 4 : "x86".equals(model.target) ? 2 : 0;
        boolean half = file.precisions.contains(5);
        boolean whole = file.precisions.contains(2);
        if (!file.targets.contains(target) || file.targets.contains(6 - target)
                || half != "fp16".equals(model.precision) || whole != "int8".equals(model.precision)) {
            throw new Problem(Sentence.MODEL_DAMAGED, model.name, "pose.json says " + model.target + " "
                    + model.precision + ", the file " + file.targets + " " + file.precisions);
        }
        int fetched = 0;
        for (String each : file.operators) {
            fetched += "fetch".equals(each) ? 1 : 0;
        }
        if (fetched != model.outputs) {
            throw new Problem(Sentence.MODEL_DAMAGED, model.name, fetched + " outputs");
        }
        return file;
    }

    /** The file is not what it should be. */
    private static final class Damaged extends Exception {
        private static final long serialVersionUID = 1;

        Damaged(String what) {
            super(what);
        }
    }

    private final ByteBuffer data;
    private final int end; // of the part that is read now

    private NbFile(byte[] content) throws Damaged {
        data = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
        expect(content.length > 26 && data.getShort(0) == 2, "not a .nb of meta version 2");
        version = new String(content, 2, 16, Files.UTF_8).split("\0", 2)[0];
        long size = data.getLong(18);
        expect(size > 8 && size <= content.length - 34, "cut off in the program");
        end = 26 + (int) size;
        readProgram();
        parameters = readParameters(content.length);
    }

    private void readProgram() throws Damaged {
        int program = follow(26);
        int[] blocks = vector(program, 0);
        expect(blocks.length >= 1, "a program without a block");
        for (int operator : vector(blocks[0], 3)) {
            operators.add(text(place(operator, 0)));
            for (int attribute : vector(operator, 3)) {
                if (KERNEL.equals(text(place(attribute, 0)))) {
                    readKernel(attribute);
                }
            }
        }
        expect(!operators.isEmpty(), "a program without operators");
    }

    /** "conv2d/def/4/1/1": type, alias, target, precision, layout. */
    private void readKernel(int attribute) throws Damaged {
        int kind = place(attribute, 1);
        expect(kind != 0 && number(kind) == STRING_KIND, "a kernel that is no text");
        String[] parts = text(place(attribute, STRING_SLOT)).split("/", -1);
        expect(parts.length >= 4 && parts[2].matches("\\d{1,3}") && parts[3].matches("\\d{1,3}"), "a kernel's name");
        targets.add(Integer.parseInt(parts[2]));
        precisions.add(Integer.parseInt(parts[3]));
    }

    private int readParameters(int total) throws Damaged {
        long at = end;
        expect(at + 4 <= total, "cut off before the parameters");
        long header = at + 4 + unsigned(data.getShort((int) at + 2));
        expect(header + 8 <= total, "cut off before the parameters");
        int count = unsigned(data.getShort((int) header + 2));
        at = header + 2 + unsigned(data.getShort((int) header));
        for (int i = 0; i < count; i++) {
            expect(at + 8 <= total, "cut off in parameter " + i);
            long size = data.getInt((int) at) & 0xffffffffL;
            expect(size >= 8 && at + 4 + size <= total, "cut off in parameter " + i);
            at += 4 + size;
        }
        expect(at == total, "bytes after the last parameter");
        return count;
    }

    // ---- FlatBuffers: every place is checked before it is read. ----

    private int number(int at) throws Damaged {
        expect(at >= 26 && at <= end - 4, "an offset that leads nowhere");
        return data.getInt(at);
    }

    private int follow(int at) throws Damaged {
        long to = at + (number(at) & 0xffffffffL);
        expect(to >= 26 && to <= end - 4, "an offset that leads nowhere");
        return (int) to;
    }

    /** Where a table's field stands; 0: it has none. */
    private int place(int table, int slot) throws Damaged {
        long vtable = (long) table - number(table);
        expect(vtable >= 26 && vtable <= end - 4, "a table without its list of fields");
        int size = unsigned(data.getShort((int) vtable));
        if (4 + 2 * slot + 2 > size) {
            return 0;
        }
        expect(vtable + size <= end, "a list of fields that is cut off");
        int offset = unsigned(data.getShort((int) vtable + 4 + 2 * slot));
        expect(offset == 0 || table + offset <= end - 4, "a field outside of the file");
        return offset == 0 ? 0 : table + offset;
    }

    /** The members of a vector of tables. */
    private int[] vector(int table, int slot) throws Damaged {
        int at = place(table, slot);
        if (at == 0) {
            return new int[0];
        }
        int start = follow(at);
        int size = number(start);
        expect(size >= 0 && size <= (end - start - 4) / 4, "a list that is cut off");
        int[] result = new int[size];
        for (int i = 0; i < size; i++) {
            result[i] = follow(start + 4 + 4 * i);
        }
        return result;
    }

    private String text(int at) throws Damaged {
        if (at == 0) {
            return "";
        }
        int start = follow(at);
        int size = number(start);
        expect(size >= 0 && size <= end - start - 4, "a text that is cut off");
        return new String(data.array(), start + 4, size, Files.UTF_8);
    }

    private static int unsigned(short value) {
        return value & 0xffff;
    }

    private static void expect(boolean right, String what) throws Damaged {
        if (!right) {
            throw new Damaged(what);
        }
    }
}
