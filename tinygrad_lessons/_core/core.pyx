# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, c_api_binop_methods=True
# cython: initializedcheck=False, nonecheck=False, embedsignature=False, binding=False, always_allow_keywords=True
"""The engine: tensors, the tape and all ops. Its parts stand in the .pxi files beside this one, in order of use."""

cimport cython
cimport numpy as cnp
from cpython.object cimport Py_EQ, Py_GE, Py_GT, Py_LE, Py_LT, Py_NE, PyObject, PyObject_GenericSetAttr, PyTypeObject, \
    newfunc, traverseproc, visitproc
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport INFINITY, M_PI, log1p
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from collections import namedtuple
from copy import deepcopy
from functools import partial, wraps
from inspect import isgeneratorfunction
from math import ceil, prod
from operator import index as operator_index
from os import environ, urandom
from time import sleep

import numpy

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()

cnp.import_array()
cdef object np_ndarray = numpy.ndarray, np_number = numpy.number, np_bool = numpy.bool_
cdef object np_floating = numpy.floating
cdef object np_array = numpy.array, np_asarray = numpy.asarray, np_ascontiguous = numpy.ascontiguousarray
cdef object np_arange = numpy.arange, np_linspace = numpy.linspace, np_eye = numpy.eye
cdef object np_broadcast_shapes = numpy.broadcast_shapes, np_searchsorted = numpy.searchsorted
cdef list NUMPY_DTYPES = [numpy.dtype(n) for n in ("bool", "uint8", "int32", "int64", "float32", "float64")]

include "c.pxi"
include "values.pxi"
include "tape.pxi"
include "elementwise.pxi"
include "rows.pxi"
include "views.pxi"
include "reductions.pxi"
include "indexing.pxi"
include "matmul.pxi"
include "random.pxi"
include "layers.pxi"
include "backward.pxi"
include "object.pxi"
include "sparse.pxi"
include "tensor.pxi"
include "methods.pxi"
include "types.pxi"
include "factories.pxi"
include "functions.pxi"
include "autograd.pxi"
include "runtime.pxi"
include "conv.pxi"
include "pool.pxi"
include "images.pxi"
include "embedding.pxi"
include "optim.pxi"
include "module.pxi"
include "data.pxi"
include "observe.pxi"

from tinygrad_lessons._tensor_str import row_sparse_str, tensor_str

tg_py_release = py_release
finish_types()
if tg_dispatch_init(environ.get("TGL_ISA", "").encode()) != 0:
    raise ImportError(
        f"TGL_ISA={environ['TGL_ISA']}: no such instruction set, or not on this machine; "
        f"available: {', '.join([n for n in ('baseline', 'avx2', 'avx512') if tg_isa_available(n.encode())])}")

# ---- names for the package: functions that are Tensor methods ----

inf, nan, pi, e = float("inf"), float("nan"), 3.141592653589793, 2.718281828459045

HAND_WRITTEN = (
    "sign square add sub div pow gelu prelu round clamp clamp_min clamp_max bitwise_not lerp addcmul addcdiv multiply divide true_divide "
    "negative absolute arctan2 clone masked_fill reshape flatten ravel unflatten permute transpose swapaxes swapdims t "
    "movedim moveaxis squeeze unsqueeze broadcast_to tile narrow select split chunk unbind diagonal flip roll tril triu "
    "gather take_along_dim scatter scatter_add index_select index_add masked_select nonzero sum mean prod amax amin max "
    "min argmax argmin any all var std norm logsumexp softmax log_softmax cumsum cumprod sort argsort topk matmul mm bmm "
    "mv dot outer numel is_floating_point"
).split()
FUNCTIONS = [name for name in OP_NAMES if hasattr(Tensor, name)] + HAND_WRITTEN
