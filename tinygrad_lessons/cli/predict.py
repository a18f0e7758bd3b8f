"""`tgl predict`: what a run's model says of files."""

import csv
import sys
from pathlib import Path

import tinygrad_lessons as tg
from tinygrad_lessons.cli.inputs import read_inputs
from tinygrad_lessons.train.config import load_run

BATCH = 256


def add_parser(commands):
    """Add `predict` to the commands."""
    parser = commands.add_parser(
        "predict",
        help="predict the classes of images, or of rows of numbers",
        description="Predict classes with the best weights of a run. A file is an image (PNG, "
        "JPEG and what else Pillow reads: made grey and resized as the model needs it), an array "
        "(.npy, one sample or many) or a table (.csv, a row of values per sample; of a model that "
        "was trained on a table, one with the same columns). Values of images run "
        "from 0 to 1, so those of bytes are divided by 255.",
        epilog="examples:\n"
        "  tgl predict runs/mine seven.png three.png\n"
        "  tgl predict runs/mine scan.png --invert --top 3\n"
        "  tgl predict runs/mine samples.npy --out predictions.csv",
    )
    parser.set_defaults(run=run)
    parser.add_argument("folder", metavar="RUN", help="a run folder")
    parser.add_argument("files", metavar="FILE", nargs="+", help="image, .npy or .csv")
    parser.add_argument("--invert", action="store_true", help="images are dark on light")
    parser.add_argument(
        "--top", type=int, default=1, metavar="K", help="show the K most probable (default: 1)"
    )
    parser.add_argument("--out", metavar="FILE", help="write a table with all probabilities")


def run(args):
    """Print a line per sample; returns the exit code."""
    loaded = load_run(args.folder)
    rows = []
    for file in args.files:
        samples = loaded.read_table(file) if Path(file).suffix.lower() == ".csv" else None
        if samples is None:
            samples = read_inputs(file, loaded.shape, args.invert)
        names = [file] if len(samples) == 1 else [f"{file}[{i}]" for i in range(len(samples))]
        rows += zip(names, outputs_of(loaded, samples), strict=True)
    for name, values in rows:
        print(f"{name}: {_in_words(loaded.classes, values, args.top)}")
    if args.out:
        _write(args.out, loaded.classes, rows)
        print(f"written: {args.out}", file=sys.stderr)
    return 0


def outputs_of(loaded, samples):
    """A list for each sample: the probabilities of the classes, or the numbers of a regression."""
    with tg.no_grad():
        batches = (samples[i : i + BATCH] for i in range(0, len(samples), BATCH))
        outputs = tg.cat([loaded.model(batch) for batch in batches])
    return (outputs.softmax(1) if loaded.classes else outputs).tolist()


def _in_words(classes, values, top):
    if not classes:
        return ", ".join(f"{value:.6g}" for value in values)
    best = sorted(range(len(values)), key=lambda k: -values[k])[:top]
    return ", ".join(f"{classes[k]} ({100 * values[k]:.1f} %)" for k in best)


def _write(path, classes, rows):
    """A table: sample, prediction, and the probability of each class."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["sample", "prediction", *classes])
        for name, values in rows:
            figures = [f"{value:.6g}" for value in values]
            best = classes[max(range(len(values)), key=values.__getitem__)] if classes else None
            table.writerow([name, best, *figures] if classes else [name, *figures])
