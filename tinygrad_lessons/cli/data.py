"""`tgl data`: the data sets, and how augmentation changes them."""

import inspect

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons import datasets, transforms
from tinygrad_lessons.cli.options import add_data_options, add_options, config_of
from tinygrad_lessons.cli.parser import UsageError, number
from tinygrad_lessons.train.config.build import load_data
from tinygrad_lessons.train.config.components import DATASET, make_transform

EXAMPLES = """\
examples:
  tgl data list
  tgl data info digits
  tgl data download mnist --root data
  tgl data show digits --model cnn --out augmented.png
"""


def add_parser(commands):
    """Add `data` and what is under it to the commands."""
    parser = commands.add_parser(
        "data",
        help="list, describe, download data sets; show augmentation",
        description="List the data sets, describe one, download one, or draw a contact sheet of "
        "images before and after the augmentation of a configuration.",
        epilog=EXAMPLES,
    )
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)

    listing = actions.add_parser("list", help="list the data sets")
    listing.set_defaults(run=run_list)

    info = actions.add_parser("info", help="describe a data set")
    add_data_options(info)
    info.set_defaults(run=run_info)

    download = actions.add_parser("download", help="fetch the files of a data set")
    add_data_options(download)
    download.set_defaults(run=run_download)

    show = actions.add_parser("show", help="draw images before and after augmentation")
    count = number(int, "a whole number of at least 1", lambda n: n >= 1)
    show.add_argument("--images", type=count, default=8, metavar="N", help="(default: 8)")
    show.add_argument(
        "--out", metavar="FILE", default="augmented.png", help="(default: augmented.png)"
    )
    add_options(show, model="cnn")
    show.set_defaults(run=run_show)


def run_list(args):
    """Print a line per data set."""
    width = max(map(len, DATASET.names))
    for name, function in DATASET.names.items():
        print(f"{name:{width}}  {inspect.getdoc(function).splitlines()[0]}")
    return 0


def run_info(args):
    """Print sizes, shape, classes and values."""
    splits = load_data(config_of(args))
    for name in ("train", "val", "test"):
        x, y = getattr(splits, name).tensors
        line = f"{name}: {len(x)} samples"
        if splits.classes:
            counts = np.bincount(y.numpy(), minlength=len(splits.classes))
            line += f"; per class: {', '.join(map(str, counts))}"
        print(line)
    x = splits.train.tensors[0]
    print(f"shape: {' x '.join(map(str, splits.shape))}")
    print(f"classes: {', '.join(splits.classes) or 'none: a regression'}")
    low, high, mean, deviation = (f(x).item() for f in (tg.min, tg.max, tg.mean, tg.std))
    print(f"values: {low:.4g} to {high:.4g}, mean {mean:.4g}, deviation {deviation:.4g}")
    return 0


def run_download(args):
    """Fetch what is not there yet, and check it."""
    config = config_of(args)
    name = config.data["name"]
    if not DATASET.accepts(name, "download"):
        print(f"{name}: nothing to download")
        return 0
    found = datasets.download(name, config.data["root"])
    for file, state in found.items():
        print(f"{config.data['root']}: {file}: {state}")
    return 0


def run_show(args):
    """Draw the first images of the training data, as they are and as a training may see them."""
    config = config_of(args)
    if not config.augment:
        raise UsageError("the configuration has no augmentation: name one with --config or --set")
    splits = load_data(config)
    tg.manual_seed(config.train.seed)
    strength = config.train.augment_strength
    transform = transforms.Compose([make_transform(table, strength) for table in config.augment])
    images = splits.train.tensors[0][: args.images]
    names = ", ".join(table["name"] for table in config.augment)
    title = f"{config.data['name']}: {names}"
    transforms.show(images, transform, title=title).savefig(args.out)
    print(f"written: {args.out}")
    return 0
