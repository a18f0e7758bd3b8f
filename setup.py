"""Builds the engine: the C kernels with flags of their own, then the Cython around them."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if sys.platform == "win32":
    sys.exit(
        "tinygrad_lessons does not build on Windows: use it under WSL, the Windows Subsystem for Linux"
    )

import numpy
from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent / "tinygrad_lessons" / "_core"))
from generate import generate, write_if_changed  # noqa: E402
from stubs import make_stubs  # noqa: E402

CSRC = Path("csrc")
SOURCES = sorted(map(str, [*CSRC.glob("*.c"), *CSRC.glob("isa/*.c")]))
HEADERS = sorted(
    map(str, [*CSRC.glob("*.h"), *CSRC.glob("*.inc"), *CSRC.glob("*.def"), *CSRC.glob("isa/*.h")])
)
CORE = Path("tinygrad_lessons/_core")

# No -ffast-math: NaN and infinity keep their meaning. The first two let loops with square roots and selects vectorise.
KERNEL_FLAGS = [
    "-O3",
    "-std=gnu11",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fwrapv",
]
FLAGS = ["-fvisibility=hidden", "-fno-strict-aliasing", "-pthread", "-w"]


class BuildWithKernels(build_ext):
    """Compiles csrc/ beside the extension, which is linked with it."""

    def build_extension(self, ext):
        def compile_one(source):
            return self.compiler.compile(
                [source], self.build_temp, extra_postargs=KERNEL_FLAGS + FLAGS, depends=HEADERS
            )

        with ThreadPoolExecutor() as pool:
            ext.extra_objects = [obj for objs in pool.map(compile_one, SOURCES) for obj in objs]
        super().build_extension(ext)


generate(CSRC, CORE)
make_stubs(CORE, write_if_changed)
core = Extension(
    "tinygrad_lessons._core.core",
    [str(CORE / "core.pyx")],
    include_dirs=["csrc", numpy.get_include()],
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
    extra_compile_args=["-O2", *FLAGS],
    extra_link_args=["-pthread"],
    depends=[*SOURCES, *HEADERS, *map(str, CORE.glob("*.pxi"))],
)
setup(
    # The benches are a package of their own, so that a peer's process can load them without the engine.
    packages=[*find_packages(include=["tinygrad_lessons*"]), "tinygrad_lessons_bench"],
    package_dir={"tinygrad_lessons_bench": "bench"},
    ext_modules=cythonize([core], language_level=3),
    cmdclass={"build_ext": BuildWithKernels},
)
