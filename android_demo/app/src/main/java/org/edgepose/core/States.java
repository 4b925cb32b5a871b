package org.edgepose.core;

import java.util.ArrayList;
import java.util.List;

/**
 * What the app is doing: facts, changed by events, from which follow what it says ({@link #sentence}) and what has to
 * be done ({@link #on} returns it). Camera and engine each have one owner: a thing is opened only when it is known
 * to be closed, and what is no longer wanted is closed first. All calls come from one thread.
 */
public final class States {
    /** What happens. */
    public enum Event {
        START, STOP, SURFACE_READY, SURFACE_GONE, TURNED,
        PERMISSION_GRANTED, PERMISSION_REFUSED, PERMISSION_REFUSED_FOREVER,
        CAMERA_OPENED, CAMERA_CLOSED, CAMERA_NONE, CAMERA_TAKEN, CAMERA_DISABLED, CAMERA_UNPLUGGED, CAMERA_FAILED,
        CAMERA_FREE, SWITCH_CAMERA,
        ENGINE_READY, ENGINE_RELEASED, ENGINE_TROUBLE, CHOOSE_MODEL, LOW_MEMORY,
        SHOW_CAMERA, OPEN_PICTURE, OPEN_VIDEO, FILE_READY, FILE_ENDED, FILE_CLOSED, FILE_UNREADABLE,
        PEOPLE, NOBODY, RETRY
    }

    /** What has to be done. */
    public enum Command {
        ASK_PERMISSION, OPEN_CAMERA, CLOSE_CAMERA, LOAD_ENGINE, RELEASE_ENGINE, OPEN_FILE, CLOSE_FILE
    }

    /** What is looked at. */
    public enum Source { CAMERA, PICTURE, VIDEO }

    private enum Permission { UNKNOWN, ASKED, GRANTED, REFUSED, FOREVER }

    /** How far something that is opened and closed has come. */
    private enum Hold { CLOSED, OPENING, OPEN, CLOSING }

    private boolean visible;
    private boolean surface;
    private Permission permission = Permission.UNKNOWN;
    private Source source = Source.CAMERA;
    private Hold camera = Hold.CLOSED;
    private Hold engine = Hold.CLOSED;
    private Hold file = Hold.CLOSED;
    private Sentence cameraTrouble;
    private Sentence engineTrouble;
    private Sentence fileTrouble;
    private boolean anotherCamera; // close it, then open the other
    private boolean anotherModel;
    private boolean anotherFile;
    private boolean ended; // the video
    private boolean people;

    /** Takes an event; returns what has to be done now, in this order. */
    public List<Command> on(Event event) {
        note(event, null);
        return settle();
    }

    /** The engine, or its model, is in trouble. */
    public List<Command> trouble(Sentence why) {
        note(Event.ENGINE_TROUBLE, why);
        return settle();
    }

    public Source source() {
        return source;
    }

    /** Whether frames may go to the worker. */
    public boolean runs() {
        return visible && engine == Hold.OPEN && !anotherModel
                && (source == Source.CAMERA ? camera == Hold.OPEN && !anotherCamera : file == Hold.OPEN && !ended);
    }

    /** Whether a tap may help. */
    public boolean canRetry() {
        return visible && (engineTrouble != null || (source == Source.CAMERA
                ? cameraTrouble != null || permission == Permission.REFUSED || permission == Permission.FOREVER
                : fileTrouble != null));
    }

    private void note(Event event, Sentence why) {
        switch (event) {
            case START:
                visible = true;
                cameraTrouble = null;
                break;
            case STOP:
                visible = false;
                break;
            case SURFACE_READY:
                surface = true;
                break;
            case SURFACE_GONE:
                surface = false;
                break;
            case TURNED:
                break; // the transform is made anew; camera and engine go on
            case PERMISSION_GRANTED:
                permission = Permission.GRANTED;
                break;
            case PERMISSION_REFUSED:
                permission = Permission.REFUSED;
                break;
            case PERMISSION_REFUSED_FOREVER:
                permission = Permission.FOREVER;
                break;
            case CAMERA_OPENED:
                camera = camera == Hold.OPENING ? Hold.OPEN : camera;
                break;
            case CAMERA_CLOSED:
                camera = Hold.CLOSED;
                anotherCamera = false;
                break;
            case CAMERA_NONE:
                cameraTrouble = Sentence.CAMERA_NONE;
                break;
            case CAMERA_TAKEN:
                cameraTrouble = Sentence.CAMERA_TAKEN;
                break;
            case CAMERA_DISABLED:
                cameraTrouble = Sentence.CAMERA_DISABLED;
                break;
            case CAMERA_UNPLUGGED:
                cameraTrouble = Sentence.CAMERA_UNPLUGGED;
                break;
            case CAMERA_FAILED:
                cameraTrouble = Sentence.CAMERA_FAILED;
                break;
            case CAMERA_FREE:
                // A camera that is broken or forbidden does not mend by being free.
                if (cameraTrouble == Sentence.CAMERA_TAKEN || cameraTrouble == Sentence.CAMERA_UNPLUGGED
                        || cameraTrouble == Sentence.CAMERA_NONE) {
                    cameraTrouble = null;
                }
                break;
            case SWITCH_CAMERA:
                cameraTrouble = null;
                anotherCamera = camera != Hold.CLOSED;
                break;
            case ENGINE_READY:
                engine = engine == Hold.OPENING ? Hold.OPEN : engine;
                break;
            case ENGINE_RELEASED:
                engine = Hold.CLOSED;
                anotherModel = false;
                break;
            case ENGINE_TROUBLE:
                engineTrouble = why;
                break;
            case CHOOSE_MODEL:
                engineTrouble = null;
                anotherModel = engine != Hold.CLOSED;
                break;
            case LOW_MEMORY:
                engineTrouble = Sentence.MEMORY_LOW;
                break;
            case SHOW_CAMERA:
                source = Source.CAMERA;
                people = false;
                break;
            case OPEN_PICTURE:
            case OPEN_VIDEO:
                source = event == Event.OPEN_PICTURE ? Source.PICTURE : Source.VIDEO;
                fileTrouble = null;
                anotherFile = file != Hold.CLOSED;
                ended = false;
                people = false;
                break;
            case FILE_READY:
                file = file == Hold.OPENING ? Hold.OPEN : file;
                break;
            case FILE_ENDED:
                ended = true;
                break;
            case FILE_CLOSED:
                file = Hold.CLOSED;
                anotherFile = false;
                break;
            case FILE_UNREADABLE:
                fileTrouble = source == Source.VIDEO ? Sentence.VIDEO_UNREADABLE : Sentence.PICTURE_UNREADABLE;
                break;
            case PEOPLE:
                people = true;
                break;
            case NOBODY:
                people = false;
                break;
            case RETRY:
                cameraTrouble = null;
                engineTrouble = null;
                fileTrouble = null;
                if (permission == Permission.REFUSED) {
                    permission = Permission.UNKNOWN;
                }
                break;
            default:
                throw new AssertionError(event);
        }
    }

    /** Brings camera, engine and file to where they should be. */
    private List<Command> settle() {
        List<Command> todo = new ArrayList<>();
        if (visible && source == Source.CAMERA && permission == Permission.UNKNOWN) {
            permission = Permission.ASKED;
            todo.add(Command.ASK_PERMISSION);
        }
        boolean wantsCamera = visible && surface && source == Source.CAMERA && permission == Permission.GRANTED
                && cameraTrouble == null && !anotherCamera;
        boolean wantsEngine = visible && engineTrouble == null && !anotherModel;
        boolean wantsFile = visible && source != Source.CAMERA && fileTrouble == null && !anotherFile && wantsEngine
                && engine == Hold.OPEN;
        // Sources are closed before engines, and engines opened before sources.
        camera = close(camera, wantsCamera, Command.CLOSE_CAMERA, todo);
        file = close(file, wantsFile, Command.CLOSE_FILE, todo);
        engine = close(engine, wantsEngine, Command.RELEASE_ENGINE, todo);
        engine = open(engine, wantsEngine, Command.LOAD_ENGINE, todo);
        camera = open(camera, wantsCamera, Command.OPEN_CAMERA, todo);
        file = open(file, wantsFile, Command.OPEN_FILE, todo);
        return todo;
    }

    private static Hold close(Hold hold, boolean wanted, Command command, List<Command> todo) {
        if (wanted || (hold != Hold.OPEN && hold != Hold.OPENING)) {
            return hold;
        }
        todo.add(command);
        return Hold.CLOSING;
    }

    private static Hold open(Hold hold, boolean wanted, Command command, List<Command> todo) {
        if (!wanted || hold != Hold.CLOSED) {
            return hold;
        }
        todo.add(command);
        return Hold.OPENING;
    }

    /** What the app says of itself now. There is always something to say. */
    public Sentence sentence() {
        if (!visible) {
            return Sentence.PAUSED;
        }
        if (engineTrouble != null) {
            return engineTrouble;
        }
        return source == Source.CAMERA ? ofCamera() : ofFile();
    }

    private Sentence ofCamera() {
        switch (permission) {
            case UNKNOWN:
            case ASKED:
                return Sentence.PERMISSION_NEEDED;
            case REFUSED:
                return Sentence.PERMISSION_REFUSED;
            case FOREVER:
                return Sentence.PERMISSION_REFUSED_FOREVER;
            default:
        }
        if (cameraTrouble != null) {
            return cameraTrouble;
        }
        if (engine != Hold.OPEN) {
            return Sentence.LOADING_MODEL;
        }
        if (!surface) {
            return Sentence.STARTING;
        }
        return camera != Hold.OPEN ? Sentence.CAMERA_OPENING : people ? Sentence.RUNNING : Sentence.NOBODY;
    }

    private Sentence ofFile() {
        if (fileTrouble != null) {
            return fileTrouble;
        }
        if (engine != Hold.OPEN) {
            return Sentence.LOADING_MODEL;
        }
        if (source == Source.PICTURE) {
            return file != Hold.OPEN ? Sentence.PICTURE_OPENING : people ? Sentence.PICTURE_SHOWN : Sentence.NOBODY;
        }
        return ended ? Sentence.VIDEO_ENDED : Sentence.VIDEO_RUNNING;
    }

    @Override
    public String toString() {
        return sentence() + " camera " + camera + " engine " + engine + " file " + file + " runs " + runs();
    }
}
