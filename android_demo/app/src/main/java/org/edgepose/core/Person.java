package org.edgepose.core;

/** A person found; pixels of the upright picture, whole numbers are pixel centres. */
public final class Person {
    public static final float SEEN = 0.2f; // a joint that scores as much is drawn as certain
    public static final float PERHAPS = 0.05f; // one that scores less is not drawn
    public final int id; // from 1; -1: not followed
    public final float score;
    public final float boxScore;
    public final float[] box; // left, top, width, height
    public final float[] joints; // x, y, score of each

    Person(float[] values, int at, int count) {
        id = (int) values[at];
        score = values[at + 1];
        boxScore = values[at + 2];
        box = java.util.Arrays.copyOfRange(values, at + 3, at + 7);
        joints = java.util.Arrays.copyOfRange(values, at + 7, at + 7 + 3 * count);
    }

    static Person[] all(float[] values, int joints) {
        int each = 7 + 3 * joints;
        Person[] people = new Person[values.length / each];
        for (int i = 0; i < people.length; i++) {
            people[i] = new Person(values, i * each, joints);
        }
        return people;
    }
}
