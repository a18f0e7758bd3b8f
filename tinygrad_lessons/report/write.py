"""A run's report."""

from datetime import datetime
from pathlib import Path

from tinygrad_lessons.report import predictions, sections, weights
from tinygrad_lessons.report.files import write_text
from tinygrad_lessons.report.page import note, page
from tinygrad_lessons.report.run import read


def write(folder, images=None, classes=None):
    """Write `report.html` into a run folder: one file that needs nothing else, and return its path.

    It has a section for each file that is there: result, configuration, curves, learning rate
    and momentum, gradients and weights, predictions. A damaged file becomes a note.

    Args:
        folder: the run folder.
        images: the images of the split that was predicted, (N, 1 or 3, height, width), uint8 or
            float; with them the worst mistakes are shown as pictures.
        classes: the names of the classes; those in result.json, or numbers, if None.

    Raises:
        FileNotFoundError: there is no such folder, or none of a run's files is in it.
        OSError: the report cannot be written.

    Example:
        >>> import tempfile, pathlib
        >>> from tinygrad_lessons import report
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": 0.5}\\n')
        >>> report.write(folder).name
        'report.html'
    """
    run = read(folder)
    notes = [note(text) for text in run.notes]
    found = [
        ("Result", _made(sections.headline, run)),
        ("Curves", _made(sections.curves, run)),
        *predictions.sections(run, images, classes),
        ("Steps", _made(sections.steps, run)),
        ("Weights and gradients", _made(weights.gradients, run)),
        ("Configuration", _made(sections.configuration, run)),
        ("Notes", notes),
    ]
    when = datetime.fromtimestamp(run.written)
    kinds = [run.config.get(part) for part in ("data", "model", "optimizer")]
    said = [kind["name"] for kind in kinds if isinstance(kind, dict) and "name" in kind]
    subtitle = " · ".join([*map(str, said), f"{when:%Y-%m-%d %H:%M}"])
    text = page(run.path.resolve().name, subtitle, found, run.status)
    return write_text(Path(folder, "report.html"), text)


def _made(section, run):
    """A section; a note where a file that can be read holds what nobody writes there."""
    try:
        return section(run)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        return note(f"This cannot be shown: {type(error).__name__}: {error}")
