package org.edgepose.core;

/**
 * Draws people and figures over the picture, by a brush that a Canvas stands behind, or a picture on the JVM. As
 * `tinypose infer` draws them: joints that are seen as discs with limbs between them, uncertain ones as rings.
 */
public final class Painter {
    private static final int[] IDS = {0xFF4C9BE8, 0xFFE8A24C, 0xFF53C68C, 0xFFD765C9, 0xFFE6DC55, 0xFF59D0D8, 0xFFE86A5C};
    private static final int LEFT = 0xFF0091FF;
    private static final int RIGHT = 0xFFFF8000;
    private static final int MIDDLE = 0xFF3CC86E;
    private static final int DARK = 0xB3101418;
    private static final int WHITE = 0xFFFFFFFF;

    /** What can be drawn; colours are 0xAARRGGBB, lengths are pixels. */
    public interface Brush {
        void line(double x1, double y1, double x2, double y2, double thick, int color);

        void disc(double x, double y, double radius, int color);

        void ring(double x, double y, double radius, double thick, int color);

        void frame(double left, double top, double right, double bottom, double thick, int color);

        void box(double left, double top, double right, double bottom, double round, int color);

        /** left and baseline. */
        void text(String text, double left, double bottom, double size, int color);

        double textWidth(String text, double size);
    }

    private Painter() {}

    /** The colour of an id. */
    public static int color(int id) {
        return id < 1 ? WHITE : IDS[(id - 1) % IDS.length];
    }

    /**
     * Draws people.
     *
     * @param density pixels a density-independent pixel
     */
    public static void people(Brush brush, Person[] people, Description pose, Transform t, double density) {
        for (Person person : people) {
            skeleton(brush, person, pose, t, density);
            label(brush, person, t, density);
        }
    }

    private static void skeleton(Brush brush, Person person, Description pose, Transform t, double density) {
        float[] j = person.joints;
        double thick = 3 * density;
        for (int[] limb : pose.limbs) {
            int a = 3 * limb[0];
            int b = 3 * limb[1];
            if (j[a + 2] >= Person.SEEN && j[b + 2] >= Person.SEEN) {
                brush.line(t.x(j[a], j[a + 1]), t.y(j[a], j[a + 1]), t.x(j[b], j[b + 1]), t.y(j[b], j[b + 1]), thick,
                        0xFF000000 | limb[2]);
            }
        }
        for (int i = 0; i < pose.joints.size(); i++) {
            double x = t.x(j[3 * i], j[3 * i + 1]);
            double y = t.y(j[3 * i], j[3 * i + 1]);
            int color = pose.sides[i] < 0 ? LEFT : pose.sides[i] > 0 ? RIGHT : MIDDLE;
            if (j[3 * i + 2] >= Person.SEEN) {
                brush.disc(x, y, 4.5 * density, WHITE);
                brush.disc(x, y, 3.5 * density, color);
            } else if (j[3 * i + 2] >= Person.PERHAPS) {
                brush.ring(x, y, 4 * density, 1.5 * density, color);
            }
        }
    }

    private static void label(Brush brush, Person person, Transform t, double density) {
        float[] box = person.box;
        double x1 = t.x(box[0], box[1]);
        double x2 = t.x(box[0] + box[2], box[1]);
        double top = t.y(box[0], box[1]);
        double left = Math.min(x1, x2); // mirrored: the other way round
        int color = color(person.id);
        brush.frame(left, top, Math.max(x1, x2), t.y(box[0], box[1] + box[3]), 1.5 * density, color);
        if (person.id > 0) {
            String text = Integer.toString(person.id);
            double size = 16 * density;
            double pad = 6 * density;
            double under = Math.max(top, size + pad);
            brush.box(left, under - size - pad, left + brush.textWidth(text, size) + 2 * pad, under, 4 * density, color);
            brush.text(text, left + pad, under - pad, size, 0xFF101418);
        }
    }

    /** Draws lines of text in the upper left corner. */
    public static void figures(Brush brush, String[] lines, double density) {
        double size = 14 * density;
        double pad = 8 * density;
        double width = 0;
        for (String line : lines) {
            width = Math.max(width, brush.textWidth(line, size));
        }
        brush.box(pad, pad, width + 3 * pad, 2.5 * pad + lines.length * 1.35 * size, 8 * density, DARK);
        for (int i = 0; i < lines.length; i++) {
            brush.text(lines[i], 2 * pad, 1.5 * pad + (i * 1.35 + 1) * size, size, WHITE);
        }
    }
}
