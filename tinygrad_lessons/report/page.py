"""The frame of all pages: one file with its own style and script, which asks for nothing else."""

from importlib.resources import files

from tinygrad_lessons.report.markup import Markup, markup, tag

# even if a text slipped in as markup, it could load nothing and call nobody
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title, subtitle, sections, status=None):
    """The text of an HTML file.

    Args:
        title: of the page.
        subtitle: a line below it.
        sections: pairs (name, content); those without content are left out. A section without a
            name has no heading.
        status: a word beside the title.

    Example:
        >>> from tinygrad_lessons.report.page import page
        >>> text = page("a < b", "two numbers", [("Both", "1, 2"), ("None", None)])
        >>> "<h1>a &lt; b</h1>" in text, "Both" in text, "None" in text
        (True, True, False)
    """
    sections = [(name, content) for name, content in sections if content]
    links = [tag("a", name, href=f"#{_anchor(name)}") for name, _ in sections if name]
    chip = tag("span", status, class_=f"chip {status}") if status else None
    body = tag(
        "body",
        tag("header", tag("div", tag("h1", title), chip, class_="title"), tag("p", subtitle)),
        tag("nav", tag("div", links), aria_label="sections") if len(links) > 2 else None,
        tag(
            "main",
            [
                tag("section", tag("h2", name), content, id=_anchor(name))
                if name
                else tag("section", content)
                for name, content in sections
            ],
        ),
        tag("div", id="tip", role="status"),
        tag("script", _file("page.js")),
    )
    head = tag(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        tag("title", title),
        tag("style", _file("page.css")),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def tiles(entries):
    """Large figures: triples (name, value, remark or None)."""
    return tag(
        "dl",
        [
            tag(
                "div",
                tag("dt", name),
                tag("dd", value),
                tag("dd", remark, class_="remark") if remark else None,
            )
            for name, value, remark in entries
        ],
        class_="tiles",
    )


def table(columns, rows, last=None, numbers=(), **attributes):
    """A table that is sorted by a click on a column's head.

    Args:
        columns: their names.
        rows: lists of cells; a cell is text or a pair (text, value to sort by).
        last: a row that stays at the end.
        numbers: indices of the columns that are aligned as numbers.
    """

    def cells(row, kind="td"):
        for i, cell in enumerate(row):
            text, value = cell if isinstance(cell, tuple) else (cell, None)
            yield tag(
                "th" if i == 0 else kind,
                text,
                scope="row" if i == 0 else None,
                class_="number" if i in numbers else None,
                data_value=value,
            )

    heads = [
        tag(
            "th",
            tag("button", name, type="button"),
            scope="col",
            class_="number" if i in numbers else None,
        )
        for i, name in enumerate(columns)
    ]
    content = tag(
        "table",
        tag("thead", tag("tr", heads)),
        tag("tbody", [tag("tr", list(cells(row))) for row in rows]),
        tag("tfoot", tag("tr", list(cells(last)))) if last else None,
        class_="sortable",
        **attributes,
    )
    return tag("div", content, class_="scroll")


def pairs(entries):
    """Names and their values in two columns."""
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in entries]
    return tag("table", rows, class_="pairs")


def grid(*content, class_="grid"):
    """Things side by side where there is room, below each other where there is not."""
    even = " even" if len(content) in (2, 4) else ""  # no hole in the second row
    return tag("div", *content, class_=class_ + even)


def note(*text):
    """A remark to the reader."""
    return tag("p", *text, class_="note")


def more(summary, *content):
    """What is shown on request, and printed."""
    return tag("details", tag("summary", summary), *content)


def _anchor(name):
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def _file(name):
    return markup(Markup(files("tinygrad_lessons.report").joinpath(name).read_text("utf-8")))
