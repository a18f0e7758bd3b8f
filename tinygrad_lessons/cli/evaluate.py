"""`tgl eval`: how well a run's model does on a split of its data."""

from tinygrad_lessons import report
from tinygrad_lessons.cli.train import figure
from tinygrad_lessons.train.config import load_run

SPLITS = ("train", "val", "test")


def add_parser(commands):
    """Add `eval` to the commands."""
    parser = commands.add_parser(
        "eval",
        help="evaluate a run's model on a split of its data",
        description="Evaluate the weights that a run ended with on a split of its data set: "
        "precision, recall and F1 of each class, loss and accuracy.",
        epilog="examples:\n  tgl eval runs/mine\n  tgl eval runs/mine --split val",
    )
    parser.set_defaults(run=run)
    parser.add_argument("folder", metavar="RUN", help="a run folder")
    parser.add_argument(
        "--split", choices=SPLITS, default="test", help="part of the data (default: test)"
    )


def run(args):
    """Print the figures; returns the exit code."""
    loaded = load_run(args.folder)
    metrics, outputs, target = loaded.evaluate(args.split)
    if loaded.classes:
        _print_classes(loaded.classes, report.score(outputs.numpy(), target.numpy()))
    print(f"{args.split} loss: {metrics['loss']:.4f}")
    print(figure(args.split, {f"{args.split}_{name}": value for name, value in metrics.items()}))
    return 0


def _print_classes(classes, scores):
    """A line for each class."""
    width = max(len("class"), *map(len, classes))
    print(f"{'class':{width}}  precision   recall       F1  samples")
    columns = (scores.precision, scores.recall, scores.f1, scores.support)
    for name, *shares, support in zip(classes, *columns, strict=True):
        print(
            f"{name:{width}}  {''.join(f'{100 * share:7.1f} %' for share in shares)}  {support:7}"
        )
