package org.edgepose.app;

import android.app.Activity;
import android.hardware.camera2.CameraCharacteristics;
import android.view.View;
import android.widget.AdapterView;
import android.widget.ArrayAdapter;
import android.widget.Spinner;
import android.widget.TextView;

import org.edgepose.core.Catalogue;
import org.edgepose.core.Cpu;
import org.edgepose.core.Description;
import org.edgepose.core.Problem;
import org.edgepose.core.Sentence;

import java.util.ArrayList;
import java.util.List;

/** The sheet of settings. */
final class Sheet {
    private static final int[] THREADS = {1, 2, 4};
    private static final int[] INTERVALS = {1, 2, 5, 10};
    private static final int[] SIZES = {240, 480, 720, 1080};

    /** Which kind of setting was changed. */
    interface Listener {
        void modelChosen();

        void followingChosen();

        void cameraChosen();
    }

    private final Activity activity;
    private final Choices choices;
    private final Listener listener;
    private final Cpu cpu;
    private final View view;

    Sheet(Activity activity, Choices choices, Cpu cpu, Listener listener) {
        this.activity = activity;
        this.choices = choices;
        this.listener = listener;
        this.cpu = cpu;
        view = activity.findViewById(R.id.sheet);
    }

    boolean isOpen() {
        return view.getVisibility() == View.VISIBLE;
    }

    void close() {
        view.setVisibility(View.GONE);
    }

    void say(int field, String text) {
        ((TextView) activity.findViewById(field)).setText(text);
    }

    /** Fills the sheet with what there is, and shows it. */
    void open(Catalogue catalogue, Camera camera) {
        fill(catalogue, camera);
        view.setVisibility(View.VISIBLE);
    }

    private void fill(final Catalogue catalogue, Camera camera) {
        List<String> names = new ArrayList<>();
        for (Description each : catalogue.poses) {
            names.add(each.label);
        }
        spinner(R.id.choose_model, names, choices.network, new Chosen() {
            @Override
            public void chosen(int at) {
                choices.network = at;
                choices.precision = "";
                listener.modelChosen();
                models(catalogue);
            }
        });
        models(catalogue);
        spinner(R.id.choose_threads, numbers(THREADS), indexOf(THREADS, choices.threads), new Chosen() {
            @Override
            public void chosen(int at) {
                choices.threads = THREADS[at];
                listener.modelChosen();
            }
        });
        List<String> intervals = new ArrayList<>();
        for (int each : INTERVALS) {
            intervals.add(activity.getString(R.string.frames, each));
        }
        spinner(R.id.choose_interval, intervals, indexOf(INTERVALS, choices.interval), new Chosen() {
            @Override
            public void chosen(int at) {
                choices.interval = INTERVALS[at];
                listener.followingChosen();
            }
        });
        List<String> ways = new ArrayList<>();
        for (int each : new int[] {R.string.one_euro, R.string.ema, R.string.none}) {
            ways.add(activity.getString(each));
        }
        spinner(R.id.choose_smoothing, ways, choices.smoothing, new Chosen() {
            @Override
            public void chosen(int at) {
                choices.smoothing = at;
                listener.followingChosen();
            }
        });
        cameras(camera);
        spinner(R.id.choose_size, numbers(SIZES), indexOf(SIZES, choices.size), new Chosen() {
            @Override
            public void chosen(int at) {
                choices.size = SIZES[at];
                listener.cameraChosen();
            }
        });
    }

    private void cameras(final Camera camera) {
        final String[] ids = camera.ids();
        List<String> names = new ArrayList<>();
        int selected = 0;
        for (int i = 0; i < ids.length; i++) {
            int facing = camera.facing(ids[i]);
            int name = facing == CameraCharacteristics.LENS_FACING_FRONT ? R.string.front
                    : facing == CameraCharacteristics.LENS_FACING_BACK ? R.string.back : R.string.external;
            names.add(activity.getString(name) + " " + ids[i]);
            selected = ids[i].equals(choices.camera) ? i : selected;
        }
        spinner(R.id.choose_camera, names, selected, new Chosen() {
            @Override
            public void chosen(int at) {
                choices.camera = ids[at];
                listener.cameraChosen();
            }
        });
    }

    /** The models of the chosen network: the best first, and why it is; those that cannot run say why when chosen. */
    private void models(Catalogue catalogue) {
        final List<Catalogue.Choice> all;
        try {
            all = catalogue.choices(catalogue.poses.get(choices.network), cpu);
        } catch (Problem problem) {
            say(R.id.why, Texts.of(activity, problem));
            return;
        }
        List<String> names = new ArrayList<>();
        names.add(activity.getString(R.string.best, all.isEmpty() ? "-" : all.get(0).model.name));
        int selected = 0;
        for (int i = 0; i < all.size(); i++) {
            names.add(all.get(i).model.name);
            selected = all.get(i).model.name.equals(choices.precision) ? i + 1 : selected;
        }
        explain(all, selected);
        spinner(R.id.choose_precision, names, selected, new Chosen() {
            @Override
            public void chosen(int at) {
                explain(all, at);
                if (at == 0 || all.get(at - 1).runs) { // one that cannot run stays a sentence
                    choices.precision = at == 0 ? "" : all.get(at - 1).model.name;
                    listener.modelChosen();
                }
            }
        });
    }

    private void explain(List<Catalogue.Choice> all, int at) {
        if (all.isEmpty()) {
            say(R.id.why, Texts.of(activity, Sentence.NO_MODEL_FITS));
            return;
        }
        Catalogue.Choice choice = all.get(Math.max(0, at - 1));
        say(R.id.why, choice.model.name + ": " + (choice.argument == null ? Texts.of(activity, choice.why)
                : Texts.of(activity, choice.why, choice.argument)));
    }

    private interface Chosen {
        void chosen(int at);
    }

    private void spinner(int id, List<String> names, final int selected, final Chosen chosen) {
        Spinner spinner = activity.findViewById(id);
        spinner.setOnItemSelectedListener(null);
        ArrayAdapter<String> adapter = new ArrayAdapter<>(activity, android.R.layout.simple_spinner_item, names);
        adapter.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item);
        spinner.setAdapter(adapter);
        spinner.setSelection(selected);
        spinner.setOnItemSelectedListener(new AdapterView.OnItemSelectedListener() {
            private int last = selected; // a spinner tells its first selection too

            @Override
            public void onItemSelected(AdapterView<?> parent, View item, int at, long row) {
                if (at != last) {
                    last = at;
                    chosen.chosen(at);
                    choices.keep();
                }
            }

            @Override
            public void onNothingSelected(AdapterView<?> parent) {}
        });
    }

    private static List<String> numbers(int[] values) {
        List<String> names = new ArrayList<>();
        for (int each : values) {
            names.add(Integer.toString(each));
        }
        return names;
    }

    private static int indexOf(int[] values, int value) {
        for (int i = 0; i < values.length; i++) {
            if (values[i] == value) {
                return i;
            }
        }
        return 0;
    }
}
