package org.edgepose.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.Charset;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** Files as the app needs them. */
public final class Files {
    public static final Charset UTF_8 = Charset.forName("UTF-8");

    private Files() {}

    public static byte[] bytes(File file) throws IOException {
        try (InputStream in = new FileInputStream(file)) {
            return bytes(in);
        }
    }

    public static byte[] bytes(InputStream in) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] part = new byte[1 << 16];
        for (int count; (count = in.read(part)) >= 0;) {
            out.write(part, 0, count);
        }
        return out.toByteArray();
    }

    public static String text(File file) throws IOException {
        return new String(bytes(file), UTF_8);
    }

    /** Writes a file whole or not at all. */
    public static void write(File file, byte[] content) throws IOException {
        File part = new File(file.getPath() + ".part");
        try (FileOutputStream out = new FileOutputStream(part)) {
            out.write(content);
            out.getFD().sync();
        }
        if (!part.renameTo(file)) {
            part.delete();
            throw new IOException(file.getName() + " cannot be written");
        }
    }

    public static String sha256(byte[] content) {
        try {
            StringBuilder hex = new StringBuilder();
            for (byte each : MessageDigest.getInstance("SHA-256").digest(content)) {
                hex.append(Character.forDigit((each >> 4) & 15, 16)).append(Character.forDigit(each & 15, 16));
            }
            return hex.toString();
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError(error); // every Java has it
        }
    }
}
