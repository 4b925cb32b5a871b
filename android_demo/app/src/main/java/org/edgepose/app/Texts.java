package org.edgepose.app;

import android.content.Context;

import org.edgepose.core.Problem;
import org.edgepose.core.Sentence;

/** Sentences in the user's language. */
final class Texts {
    private Texts() {}

    static String of(Context context, Sentence sentence, Object... arguments) {
        int id = context.getResources().getIdentifier(sentence.key(), "string", context.getPackageName());
        return arguments.length == 0 ? context.getString(id) : context.getString(id, arguments);
    }

    static String of(Context context, Problem problem) {
        return of(context, problem.sentence, problem.arguments);
    }
}
