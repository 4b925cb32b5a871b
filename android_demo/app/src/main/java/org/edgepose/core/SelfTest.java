package org.edgepose.core;

import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** Compares what this device finds in the built-in picture with what Python found there (`self_test` of pose.json). */
public final class SelfTest {
    public final Sentence verdict;
    public final double farthest; // sure joint, in pixels
    public final double allowed;
    public final int found;
    public final int expected;

    private SelfTest(Sentence verdict, double farthest, double allowed, int found, int expected) {
        this.verdict = verdict;
        this.farthest = farthest;
        this.allowed = allowed;
        this.found = found;
        this.expected = expected;
    }

    public boolean passed() {
        return verdict == Sentence.TEST_PASSED;
    }

    /** Judges what was found. */
    public static SelfTest judge(Description pose, Model model, Person[] people) throws Problem {
        if (pose.selfTest == null) {
            return new SelfTest(Sentence.TEST_MISSING, 0, 0, people.length, 0);
        }
        try {
            JSONArray all = pose.selfTest.getJSONArray("people");
            double sure = pose.selfTest.getDouble("sure");
            double allowed = pose.selfTest.getJSONObject("allowed").getDouble(model.precision);
            if (people.length != all.length()) {
                return new SelfTest(Sentence.TEST_MISSED, 0, allowed, people.length, all.length());
            }
            double farthest = 0;
            for (int i = 0; i < all.length(); i++) {
                farthest = Math.max(farthest, nearest(all.getJSONObject(i), people, sure));
            }
            boolean right = farthest <= allowed;
            return new SelfTest(right ? Sentence.TEST_PASSED : Sentence.TEST_FAILED, farthest, allowed,
                    people.length, all.length());
        } catch (JSONException error) {
            throw new Problem(Sentence.MODEL_DAMAGED, pose.label + "/pose.json", error.getMessage());
        }
    }

    /** How far the farthest sure joint of an expected person is from that of the person found who is nearest. */
    private static double nearest(JSONObject expected, Person[] people, double sure) throws JSONException {
        JSONArray joints = expected.getJSONArray("keypoints");
        double least = Double.POSITIVE_INFINITY;
        for (Person person : people) {
            double farthest = 0;
            for (int i = 0; i + 2 < joints.length(); i += 3) {
                if (joints.getDouble(i + 2) >= sure) {
                    farthest = Math.max(farthest, Math.hypot(joints.getDouble(i) - person.joints[i],
                            joints.getDouble(i + 1) - person.joints[i + 1]));
                }
            }
            least = Math.min(least, farthest);
        }
        return least;
    }
}
