package org.edgepose.core;

import java.util.Arrays;

/** Something that the user is told in a sentence; nothing of it is a bug. */
public final class Problem extends Exception {
    private static final long serialVersionUID = 1;
    public final Sentence sentence;
    public final transient Object[] arguments;

    public Problem(Sentence sentence, Object... arguments) {
        super(sentence + " " + Arrays.toString(arguments));
        this.sentence = sentence;
        this.arguments = arguments;
    }
}
