package org.edgepose.core;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Line2D;
import java.awt.geom.Rectangle2D;
import java.awt.geom.RoundRectangle2D;
import java.awt.image.BufferedImage;

/** What the app's Overlay is on a phone: a brush for {@link Painter}, here on a picture of Java's. */
final class Screen implements Painter.Brush {
    final BufferedImage image;
    private final Graphics2D g;

    /** The picture lies in the view as the app places it; mirrored: as the front camera's. */
    Screen(BufferedImage picture, int width, int height, boolean mirrored) {
        image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        g = image.createGraphics();
        g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
        g.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR);
        g.setColor(new Color(0x101418));
        g.fillRect(0, 0, width, height);
        Transform t = Transform.of(picture.getWidth(), picture.getHeight(), width, height, false, mirrored);
        double x1 = t.x(-0.5, -0.5);
        double x2 = t.x(picture.getWidth() - 0.5, -0.5);
        int top = (int) Math.round(t.y(-0.5, -0.5));
        int bottom = (int) Math.round(t.y(0, picture.getHeight() - 0.5));
        g.drawImage(picture, (int) Math.round(x1), top, (int) Math.round(x2), bottom, 0, 0, picture.getWidth(),
                picture.getHeight(), null);
    }

    private void color(int argb) {
        g.setColor(new Color(argb, true));
    }

    private void stroke(double thick) {
        g.setStroke(new BasicStroke((float) thick, BasicStroke.CAP_ROUND, BasicStroke.JOIN_MITER));
    }

    @Override
    public void line(double x1, double y1, double x2, double y2, double thick, int argb) {
        color(argb);
        stroke(thick);
        g.draw(new Line2D.Double(x1, y1, x2, y2));
    }

    @Override
    public void disc(double x, double y, double radius, int argb) {
        color(argb);
        g.fill(new Ellipse2D.Double(x - radius, y - radius, 2 * radius, 2 * radius));
    }

    @Override
    public void ring(double x, double y, double radius, double thick, int argb) {
        color(argb);
        stroke(thick);
        g.draw(new Ellipse2D.Double(x - radius, y - radius, 2 * radius, 2 * radius));
    }

    @Override
    public void frame(double left, double top, double right, double bottom, double thick, int argb) {
        color(argb);
        stroke(thick);
        g.draw(new Rectangle2D.Double(left, top, right - left, bottom - top));
    }

    @Override
    public void box(double left, double top, double right, double bottom, double round, int argb) {
        color(argb);
        g.fill(new RoundRectangle2D.Double(left, top, right - left, bottom - top, 2 * round, 2 * round));
    }

    @Override
    public void text(String text, double left, double bottom, double size, int argb) {
        color(argb);
        g.setFont(font(size));
        g.drawString(text, (float) left, (float) bottom);
    }

    @Override
    public double textWidth(String text, double size) {
        return g.getFontMetrics(font(size)).getStringBounds(text, g).getWidth();
    }

    private static Font font(double size) {
        return new Font(Font.SANS_SERIF, Font.PLAIN, 1).deriveFont((float) size);
    }
}
