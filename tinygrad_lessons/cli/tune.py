"""`tgl tune`: search for good settings."""

from pathlib import Path

import tomli_w

from tinygrad_lessons import report, tune
from tinygrad_lessons.cli.options import add_options, config_of, refuse_options
from tinygrad_lessons.cli.parser import number
from tinygrad_lessons.train import RunFolder
from tinygrad_lessons.train.config import Config, read_toml

EXAMPLES = """\
examples:
  tgl tune digits --trials 50
  tgl tune digits --model cnn --trials 100 --epochs 30 --jobs 2
  tgl tune digits --space space.toml --sampler grid --pruner none
  tgl tune --resume runs/tune-digits-mlp-20260101-120000 --trials 100
  tgl tune digits --storage postgresql://user@host/studies --study digits

space.toml holds what is searched, in the tables of a configuration:
  [optimizer]
  lr = {low = 1e-4, high = 0.1, log = true}
  [train]
  batch_size = [16, 32, 64]
"""


def add_parser(commands):
    """Add `tune` to the commands."""
    parser = commands.add_parser(
        "tune",
        help="search for good settings",
        description="Search for the options with which a model validates best, on Optuna: "
        "learning rate, batch size, optimizer, schedule, weight decay, L1, L2, dropout, widths, "
        "strength of augmentation, or what --space says. Trials that fall behind are given up "
        "after a few epochs. Leaves a folder with the study (study.db), a report (study.html) and "
        "the best options (best.toml), ready for tgl train --config. The test data are not "
        "looked at.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    count = number(int, "a whole number of at least 1", lambda n: n >= 1)
    search = parser.add_argument_group("search")
    search.add_argument(
        "--trials", type=count, metavar="N", help="finished trials (default: 50, or as before)"
    )
    search.add_argument("--space", metavar="FILE", help="TOML file of what to search")
    search.add_argument("--sampler", choices=tune.SAMPLERS, help="how to choose (default: tpe)")
    search.add_argument(
        "--pruner",
        choices=tune.PRUNERS,
        help="how to give up (default: hyperband)",
    )
    search.add_argument(
        "--jobs", type=count, default=1, metavar="N", help="processes on this machine (default: 1)"
    )
    search.add_argument(
        "--study", metavar="NAME", help="its name in the storage (default: DATASET-MODEL)"
    )
    search.add_argument(
        "--storage",
        metavar="URL",
        help="database that machines share: those that name the same study work on it together "
        "(default: DIR/study.db)",
    )
    search.add_argument(
        "--heartbeat",
        type=count,
        default=10,
        metavar="S",
        help="seconds between signs of life; after three without, a trial is tried again "
        "(default: 10)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--out", metavar="DIR", help="folder (default: runs/tune-DATASET-MODEL-TIME)"
    )
    where.add_argument("--resume", metavar="DIR", help="go on with the search in this folder")
    add_options(parser)


def run(args):
    """Search, and fill the folder; returns the exit code."""
    folder, plan = _resumed(args) if args.resume else _begun(args)
    search = plan["search"]
    search["trials"] = args.trials or search["trials"]
    (folder / "tune.toml").write_text(tomli_w.dumps(plan), "utf-8")
    config = Config.from_dict(plan["config"])
    print(f"folder: {folder}", flush=True)
    study = tune.tune(
        plan["space"],
        config=config,
        trials=search["trials"],
        sampler=search["sampler"],
        pruner=search["pruner"],
        seed=config.train.seed,
        jobs=args.jobs,
        storage=search.get("storage", folder / "study.db"),
        name=search["study"],
        heartbeat=args.heartbeat,
    )
    report.write_study(study, folder / "study.html")
    best = tune.best_config(study, config)
    (folder / "best.toml").write_text(best.to_toml(), "utf-8")
    for path in sorted(folder.iterdir()):
        print(f"  {path}")
    print(f"best {config.train.monitor}: {study.best_value:.6g} (trial {study.best_trial.number})")
    print(f"train it: tgl train --config {folder / 'best.toml'}")
    return 0


def _begun(args):
    """The folder and the plan of a new search, which --resume reads from it."""
    config = config_of(args)
    space = read_toml(args.space) if args.space else tune.default_space(config)
    space = tune.checked_space(space, config)
    name = f"{config.data['name']}-{config.model['name'].replace(':', '.')}"
    folder = RunFolder(args.out) if args.out else RunFolder.new("runs", f"tune-{name}")
    search = {"trials": 50, "sampler": args.sampler or "tpe"}
    search["pruner"] = args.pruner or "hyperband"
    search["study"] = args.study or name
    if args.storage:
        search["storage"] = args.storage
    return folder.path, {"search": search, "space": space, "config": config.to_dict()}


def _resumed(args):
    """The folder and the plan of the search to go on with."""
    refuse_options(args, but=("trials", "jobs", "heartbeat"))
    folder = Path(args.resume)
    return folder, read_toml(folder / "tune.toml")
