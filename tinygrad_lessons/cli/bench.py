"""`tgl bench`: how fast the engine is on this machine, beside its peers."""

try:
    from tinygrad_lessons_bench import command
except (
    ModuleNotFoundError
):  # a checkout that is on the path but not installed has `python -m bench`
    command = None


def add_parser(commands):
    """Add `bench` to the commands, where the benches are installed."""
    if command is None:
        return
    parser = commands.add_parser(
        "bench",
        help="measure the engine beside the frameworks installed here",
        description="Measure this engine and the other frameworks installed here (PyTorch, NumPy, JAX) "
        "by turns, each in a process of its own; print times, ratios, targets and distances to this "
        "machine's own limit; leave results.json and roofline.png. A full run takes about ten minutes.",
        epilog="examples:\n  tgl bench --quick -k softmax",
    )
    command.add_arguments(parser)
    parser.set_defaults(run=command.run)
