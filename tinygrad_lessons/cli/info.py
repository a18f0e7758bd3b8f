"""`tgl info`: what the engine runs on."""

import tinygrad_lessons as tg


def add_parser(commands):
    """Add `info` to the commands."""
    parser = commands.add_parser(
        "info",
        help="show the version, the instruction set in use, threads",
        description="Show the version of tinygrad_lessons and what its engine runs on. "
        "TGL_ISA=baseline|avx2|avx512 in the environment forces an instruction set.",
        epilog="examples:\n  tgl info",
    )
    parser.set_defaults(run=run)


def run(args):
    """Print the configuration."""
    print(tg.show_config())
    return 0
