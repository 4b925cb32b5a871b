package org.edgepose.core;

import java.util.Locale;

/**
 * Every sentence that the app says of itself; the texts are strings of these names in lower case, in each language.
 * The arguments of each are named beside it.
 */
public enum Sentence {
    // What goes on.
    STARTING,
    PAUSED,
    LOADING_MODEL,
    RUNNING,
    NOBODY,
    PICTURE_OPENING,
    PICTURE_SHOWN,
    VIDEO_RUNNING,
    VIDEO_ENDED,
    // The camera.
    PERMISSION_NEEDED,
    PERMISSION_REFUSED,
    PERMISSION_REFUSED_FOREVER,
    CAMERA_OPENING,
    CAMERA_NONE,
    CAMERA_TAKEN,
    CAMERA_DISABLED,
    CAMERA_UNPLUGGED,
    CAMERA_FAILED,
    // Models and engine.
    NO_MODELS,
    NO_ENGINE,
    ENGINE_UNFIT, // what the library needs
    NO_MODEL_FITS,
    MODEL_DAMAGED, // file, what is wrong
    MODEL_FAILED, // model
    RUN_FAILED, // what the pipeline says
    MEMORY_LOW,
    // Pictures, videos, files.
    PICTURE_UNREADABLE,
    VIDEO_UNREADABLE,
    FILE_NOT_WRITTEN, // why
    // Why a model cannot be taken here, or is taken.
    NO_FP16,
    NO_FP16_LIBRARY,
    NO_EXTRA_LIBRARY, // operators
    INT8_WITHOUT_SDOT,
    FEWEST_INSTRUCTIONS, // millions
    COST_UNKNOWN,
    // The self-test.
    TEST_RUNNING,
    TEST_PASSED, // farthest joint in pixels, allowed
    TEST_FAILED, // farthest joint in pixels, allowed
    TEST_MISSED, // people found, people expected
    TEST_MISSING;

    /** The name of the string. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }
}
