package org.edgepose.app;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.view.View;

import org.edgepose.core.Description;
import org.edgepose.core.Painter;
import org.edgepose.core.Person;
import org.edgepose.core.Transform;

/** People and figures over the picture. */
public final class Overlay extends View implements Painter.Brush {
    private static final Person[] NOBODY = {};
    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final double density;
    private Canvas canvas;
    private Person[] people = NOBODY;
    private Description pose;
    private Transform transform;
    private String[] lines = {};

    public Overlay(Context context, AttributeSet attributes) {
        super(context, attributes);
        density = getResources().getDisplayMetrics().density;
        paint.setStrokeCap(Paint.Cap.ROUND);
    }

    void show(Person[] found, Description network, Transform place, String[] figures) {
        people = found;
        pose = network;
        transform = place;
        lines = figures;
        invalidate();
    }

    void clear() {
        show(NOBODY, null, null, new String[] {});
    }

    @Override
    protected void onDraw(Canvas on) {
        canvas = on;
        if (transform != null && pose != null) {
            Painter.people(this, people, pose, transform, density);
        }
        if (lines.length > 0) {
            Painter.figures(this, lines, density);
        }
    }

    @Override
    public void line(double x1, double y1, double x2, double y2, double thick, int color) {
        stroke(thick, color);
        canvas.drawLine((float) x1, (float) y1, (float) x2, (float) y2, paint);
    }

    @Override
    public void disc(double x, double y, double radius, int color) {
        fill(color);
        canvas.drawCircle((float) x, (float) y, (float) radius, paint);
    }

    @Override
    public void ring(double x, double y, double radius, double thick, int color) {
        stroke(thick, color);
        canvas.drawCircle((float) x, (float) y, (float) radius, paint);
    }

    @Override
    public void frame(double left, double top, double right, double bottom, double thick, int color) {
        stroke(thick, color);
        canvas.drawRect((float) left, (float) top, (float) right, (float) bottom, paint);
    }

    @Override
    public void box(double left, double top, double right, double bottom, double round, int color) {
        fill(color);
        canvas.drawRoundRect((float) left, (float) top, (float) right, (float) bottom, (float) round, (float) round,
                paint);
    }

    @Override
    public void text(String text, double left, double bottom, double size, int color) {
        fill(color);
        paint.setTextSize((float) size);
        canvas.drawText(text, (float) left, (float) bottom, paint);
    }

    @Override
    public double textWidth(String text, double size) {
        paint.setTextSize((float) size);
        return paint.measureText(text);
    }

    private void stroke(double thick, int color) {
        paint.setStyle(Paint.Style.STROKE);
        paint.setStrokeWidth((float) thick);
        paint.setColor(color);
    }

    private void fill(int color) {
        paint.setStyle(Paint.Style.FILL);
        paint.setColor(color);
    }
}
