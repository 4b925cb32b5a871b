"""An Android layout as a web page: the app's own layouts, texts and colours, with stand-ins for widgets."""

import html
import xml.etree.ElementTree as ElementTree
from pathlib import Path

RES = Path(__file__).resolve().parents[3] / "android_demo" / "app" / "src" / "main" / "res"
_ANDROID = "{http://schemas.android.com/apk/res/android}"
_GRAVITY = {"center": "justify-content:center;text-align:center;", "center_vertical": ""}


class Page:
    """Draws layouts in a language and a theme; `filled` holds texts, `pictures` addresses, both by id."""

    def __init__(self, language: str, dark: bool, filled: dict[str, str], pictures: dict[str, str]) -> None:
        self._filled, self._pictures = filled, pictures
        self._strings = _values("values", "strings") | (
            _values("values-zh", "strings") if language == "zh" else {}
        )
        self._colors = _values("values", "colors") | (_values("values-night", "colors") if dark else {})
        self._styles = {
            style.get("name"): {item.get("name").removeprefix("android:"): item.text for item in style}
            for style in ElementTree.parse(RES / "values" / "styles.xml").getroot()
        }

    def html(self, layout: str, width: int, height: int, shown: set[str]) -> str:
        """Return the page of a layout; `shown` are ids of views that are gone by default."""
        self._shown = shown
        body = self._view(self._root(layout), "frame")
        style = "*{box-sizing:border-box;margin:0} body{font-family:Roboto,'Noto Sans CJK SC',sans-serif}"
        return (
            f"<!doctype html><meta charset=utf-8><style>{style}</style>"
            f"<div style='position:relative;width:{width}px;height:{height}px;overflow:hidden'>{body}</div>"
        )

    def _root(self, layout: str) -> ElementTree.Element:
        return ElementTree.parse(RES / "layout" / f"{layout}.xml").getroot()

    def _view(self, view: ElementTree.Element, parent: str) -> str:
        if view.tag == "include":
            return self._view(self._root(view.get("layout").removeprefix("@layout/")), parent)
        style = self._styles.get((view.get("style") or "").removeprefix("@style/"), {})
        own = {
            key.removeprefix(_ANDROID): value
            for key, value in view.attrib.items()
            if key.startswith(_ANDROID)
        }
        a = {**style, **own}
        name = a.get("id", "").rpartition("/")[2]
        if a.get("visibility") == "gone" and name not in self._shown:
            return ""
        css = self._css(view.tag, a, parent)
        kind = view.tag.rpartition(".")[2]
        if kind in ("TextureView", "ImageView"):
            return ""
        if kind == "Overlay":
            return f"<img src='{self._pictures[name]}' style='{css}'>"
        if kind in ("TextView", "Button", "Spinner"):
            text = self._filled.get(name) or self._text(a.get("text", ""))
            if kind == "Spinner":
                css += "border-bottom:1px solid;justify-content:space-between;"
                css += f"color:{self._colors['text']};font-size:16px;"
                return f"<div style='{css}'><span>{html.escape(text)}</span><span>&#9662;</span></div>"
            return f"<div style='{css}'>{html.escape(text)}</div>"
        inner = "frame" if kind in ("FrameLayout", "ScrollView") else a.get("orientation", "horizontal")
        return f"<div style='{css}'>{''.join(self._view(each, inner) for each in view)}</div>"

    def _css(self, tag: str, a: dict[str, str], parent: str) -> str:
        css = (
            "display:flex;align-items:center;"
            if tag not in ("FrameLayout", "ScrollView")
            else "display:block;"
        )
        if tag == "LinearLayout":
            across = a.get("orientation") != "vertical"
            css += (
                f"flex-direction:{'row' if across else 'column'};{'' if across else 'align-items:stretch;'}"
            )
        if parent == "frame" and tag != "LinearLayout" or a.get("layout_gravity"):
            bottom = a.get("layout_gravity") == "bottom"
            css += f"position:absolute;left:0;right:0;{'bottom:0;' if bottom else 'top:0;'}"
        if a.get("layout_height") == "match_parent":
            css += "height:100%;"
        if a.get("layout_width") == "match_parent":
            css += "width:100%;"
        if "layout_weight" in a:
            css += f"flex:{a['layout_weight']} 1 0;"
        if "minHeight" in a:
            css += f"min-height:{_pixels(a['minHeight'])}px;"
        for key, side in (("padding", ""), ("paddingStart", "-left"), ("paddingEnd", "-right")):
            if key in a:
                css += f"padding{side}:{_pixels(a[key])}px;"
        if "textSize" in a:
            css += f"font-size:{_pixels(a['textSize'])}px;"
        if "textColor" in a:
            css += f"color:{self._color(a['textColor'])};"
        if a.get("background") == "@drawable/sheet":
            css += f"background:{self._colors['sheet']};border-radius:16px 16px 0 0;"
        elif "background" in a:
            css += f"background:{self._color(a['background'])};"
        css += _GRAVITY.get(a.get("gravity", ""), "")
        return css + (_GRAVITY["center"] if tag == "Button" else "")

    def _text(self, text: str) -> str:
        return self._strings[text.removeprefix("@string/")] if text.startswith("@string/") else text

    def _color(self, color: str) -> str:
        if color.startswith("@color/"):
            return self._colors[color.removeprefix("@color/")]
        return f"#{color[3:]}{color[1:3]}" if len(color) == 9 else color  # Android has the alpha in front

    def string(self, name: str) -> str:
        """Return a text by name."""
        return self._strings[name]


def _values(folder: str, name: str) -> dict[str, str]:
    return {
        each.get("name"): each.text.replace("\\'", "'")
        for each in ElementTree.parse(RES / folder / f"{name}.xml").getroot()
    }


def _pixels(size: str) -> float:
    return float(size.rstrip("dpsx"))
