"""HTML and SVG as text that is escaped unless it is known to be markup."""

from html import escape

VOID = {"br", "img", "input", "line", "rect", "circle", "path", "image", "use", "meta", "polyline"}


class Markup(str):
    """Text that is markup already; any other text is escaped on its way into an element."""


def markup(*children):
    """Children joined: markup as it is, nested lists unfolded, None left out, the rest escaped.

    Example:
        >>> from tinygrad_lessons.report.markup import Markup, markup
        >>> markup("a < b", Markup("<br>"), None, [1, 2])
        'a &lt; b<br>12'
    """
    parts = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, list | tuple):
            parts.append(markup(*child))
        elif child is not None:
            parts.append(escape(str(child)))
    return Markup("".join(parts))


def tag(name, *children, **attributes):
    """An element; attributes that are None are left out, `_` stands for `-`, `class_` for class.

    Example:
        >>> from tinygrad_lessons.report.markup import tag
        >>> tag("p", "a < b", class_="note", data_value='"1"', title=None)
        '<p class="note" data-value="&quot;1&quot;">a &lt; b</p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID and not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{markup(*children)}</{name}>")
