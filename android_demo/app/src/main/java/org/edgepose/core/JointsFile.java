package org.edgepose.core;

import java.io.Closeable;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.util.Locale;

/** Writes joints as `tinypose infer` does: COCO's results form, a list with an entry for each person of each frame. */
public final class JointsFile implements Closeable {
    private final File file;
    private final File part;
    private final Writer out;
    private int entries;

    /** Begins; the file appears when it is closed and whole. */
    public JointsFile(File file) throws IOException {
        this.file = file;
        part = new File(file.getPath() + ".part");
        out = new OutputStreamWriter(new FileOutputStream(part), Files.UTF_8);
        out.write("[");
    }

    /** Adds the people of a frame; seconds: of the video. */
    public void add(long frame, double seconds, Person[] people) throws IOException {
        for (Person person : people) {
            StringBuilder text = new StringBuilder(entries++ == 0 ? "\n" : ",\n");
            text.append(String.format(Locale.ROOT, "{\"image_id\": %d, \"category_id\": 1, \"keypoints\": [", frame));
            for (int i = 0; i < person.joints.length; i++) {
                text.append(i == 0 ? "" : ", ").append(number(person.joints[i], 3));
            }
            text.append("], \"score\": ").append(number(person.score, 5)).append(", \"bbox\": [");
            for (int i = 0; i < 4; i++) {
                text.append(i == 0 ? "" : ", ").append(number(person.box[i], 2));
            }
            text.append("], \"time\": ").append(number(seconds, 4));
            if (person.id > 0) {
                text.append(", \"track_id\": ").append(person.id);
            }
            out.write(text.append("}").toString());
        }
    }

    private static String number(double value, int digits) throws IOException {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            throw new IOException("a joint that is no number");
        }
        return String.format(Locale.ROOT, "%." + digits + "f", value);
    }

    @Override
    public void close() throws IOException {
        out.write("\n]\n");
        out.close();
        if (!part.renameTo(file)) {
            part.delete();
            throw new IOException(file.getName() + " cannot be written");
        }
    }
}
