package org.edgepose.app;

import android.hardware.camera2.CameraCharacteristics;

import java.util.Arrays;
import java.util.List;

/** Which of the cameras is looked through. */
final class Cameras {
    private Cameras() {}

    /** The chosen one, if it is there; else the first at the back, or the first; null: there is none. */
    static String chosen(Camera camera, Choices choices) {
        List<String> ids = Arrays.asList(camera.ids());
        if (ids.contains(choices.camera)) {
            return choices.camera;
        }
        for (String each : ids) {
            if (camera.facing(each) == CameraCharacteristics.LENS_FACING_BACK) {
                return each;
            }
        }
        return ids.isEmpty() ? null : ids.get(0);
    }

    /** Chooses the next one. */
    static void next(Camera camera, Choices choices) {
        List<String> ids = Arrays.asList(camera.ids());
        if (!ids.isEmpty()) {
            choices.camera = ids.get((ids.indexOf(chosen(camera, choices)) + 1) % ids.size());
            choices.keep();
        }
    }
}
