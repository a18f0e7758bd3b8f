# Optimizers: the step of a parameter group is one kernel call over a table of its parameters.

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport INFINITY, sqrt

cdef extern from "optim.h" nogil:
    enum: TG_OPTIM_MAXIMIZE, TG_OPTIM_DECOUPLED, TG_OPTIM_JOIN, TG_OPTIM_OPTION, TG_OPTIM_SUMS, TG_OPTIM_GRAIN

    ctypedef struct tg_optim_row:
        void *param
        const void *grad
        void *state[4]
        float *number[3]
        double *sums
        int64_t numel
        int64_t rows
        const int64_t *sparse
        int64_t count

    ctypedef struct tg_optim_hyper:
        double weight_decay
        double scale
        double l1
        double l2
        double group_lasso
        double max_norm
        double total[2]
        double rule[12]

cdef extern from *:
    """
    /* The columns of optim.def as they stand there. */
    static const char *const tg_optim_text[][8] = {
    #define OPTIM(rule, options, hypers, numbers, states, kept, starts, ...) \\
        {#rule, #options, #hypers, #numbers, #states, #kept, #starts, #__VA_ARGS__},
    #define OPTIM_MEASURED OPTIM
    #define OPTIM_JOINT OPTIM
    #include "optim.def"
    #undef OPTIM
    #undef OPTIM_MEASURED
    #undef OPTIM_JOINT
    };
    """
    enum: TG_OPTIM_COUNT
    const char *tg_optim_text[TG_OPTIM_COUNT][8]

cdef enum:
    MAX_ROWS = GIL_WORK - 1  # of one call: launch() keeps the GIL, as bare pointers in the table demand

cdef class Rule:
    """A row of optim.def: STATE(a, b) is ("a", "b") here, the other columns likewise; options are in lower case."""
    cdef readonly int index
    cdef readonly str name, formula
    cdef readonly bint measured, joint
    cdef readonly tuple options, hyper, numbers, state, kept
    cdef readonly dict starts

    def __cinit__(self, int index):
        def inside(text):
            return text[text.index("(") + 1:text.rindex(")")].strip()

        def names(text):
            return tuple(inside(text).split(", ")) if inside(text) else ()

        columns = [tg_optim_text[index][k].decode() for k in range(8)]
        self.index = index
        self.name = columns[0]
        self.options, self.kept = names(columns[1].lower()), names(columns[5].lower())
        self.hyper, self.numbers, self.state = map(names, columns[2:5])
        self.starts = dict(pair.split(" = ") for pair in names(columns[6]))
        self.formula = columns[7]
        self.measured, self.joint = "SUMS(" in self.formula, "TOTALS(" in self.formula

    def places(self):
        """Where a group holds the numbers: (key, None), or (key, position) for the member of a tuple."""
        for name in self.hyper:
            key = name.rstrip("123456789")
            yield (name, None) if key == name else (key + "s", int(name[len(key):]) - 1)

    def start(self, str name, dict group):
        """What a number or buffer starts with, or None for the parameter itself."""
        value = self.starts.get(name, "0")
        return None if value == "p" else float(group[value] if value in group else value)

def refuse_sparse(str name):
    """Raises RuntimeError: the optimizer of this name takes no row-sparse gradients."""
    raise RuntimeError(f"{name} does not support sparse gradients, please consider SparseAdam, SGD or Adagrad instead, or make "
                       "them dense by sparse=False in the embedding or by p.grad = p.grad.to_dense()")

OPTIM_RULES = {rule.name: rule for rule in map(Rule, range(TG_OPTIM_COUNT))}

cdef int64_t state_epoch = 1  # rises with every change of a Noticed

class Noticed(dict):
    """A dict of optimizer state. The compiled steps keep pointers to what is in it, and notice any change."""

@cython.binding(True)
def _noticed(method):
    def change(self, *args, **kwargs):
        global state_epoch
        state_epoch += 1
        return method(self, *args, **kwargs)
    return change

for _name in "__setitem__ __delitem__ __ior__ clear pop popitem setdefault update".split():
    setattr(Noticed, _name, _noticed(getattr(dict, _name)))

cdef class MultiTensorStep:
    """The step of one parameter group by one rule.

    The table has a row per parameter. What state it points to is settled in bind(), whenever the list of parameters,
    a layout, the options or the state's dicts have changed, or a first gradient has come; what is lacking begins then.
    The pointers to parameters and gradients are put in by fill(), in every step.
    """
    cdef Rule rule
    cdef str owner              # the optimizer's name, for errors
    cdef bint takes_dense, takes_sparse
    cdef list places            # of the rule's numbers, in the group
    cdef list params            # whom the rows belong to
    cdef object state           # where their state is
    cdef list held              # one alias per block of memory that holds state
    cdef list runs              # (first row, rows, is float64): each is one call
    cdef list copies            # (parameter or None, the contiguous copy that stands in for it or its gradient)
    cdef Py_ssize_t n
    cdef tg_optim_row *rows
    cdef tg_meta **metas        # the layouts of the parameters, when they were bound
    cdef float *steps           # the step counts of rules that do not show theirs in the state
    cdef int64_t epoch
    cdef int flags
    cdef bint running
    cdef double *sums           # room for what the kernels add up
    cdef tg_optim_hyper hyper

    def __cinit__(self, str rule, str owner, *, bint dense, bint sparse):
        self.rule = OPTIM_RULES[rule]
        self.owner, self.takes_dense, self.takes_sparse = owner, dense, sparse
        self.places = list(self.rule.places())
        self.params, self.held, self.runs, self.copies = [], [], [], []

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.n):
            tg_meta_release(self.metas[i])
        PyMem_Free(self.rows)
        PyMem_Free(self.metas)
        PyMem_Free(self.steps)
        PyMem_Free(self.sums)
        self.rows, self.metas, self.steps, self.sums = NULL, NULL, NULL, NULL
        self.n = self.epoch = 0

    cdef int take(self, dict group, state) except -1:
        """Update the group's parameters that have a gradient, with the numbers the group holds now."""
        if self.running:
            raise RuntimeError("step: this optimizer is in the middle of a step, further out or on another thread")
        self.running = True
        try:
            return self.run(group, state)
        finally:
            self.running = False

    cdef int run(self, dict group, state) except -1:
        cdef list params = group["params"]
        cdef int flags = self.read(group)
        cdef Py_ssize_t first, rows
        cdef bint is_double
        cdef tg_call c
        if flags != self.flags or self.epoch != state_epoch or state is not self.state:
            self.bind(group, state, flags)
        while not self.fill(params):
            self.bind(group, state, flags)
        self.hyper.scale = 1
        c.ndim = 0
        c.flags = flags
        c.hyper = &self.hyper
        c.n[1] = c.n[2] = 0
        limit = group.get("max_grad_norm")
        if limit is not None:
            for first, rows, is_double in self.runs:
                self.start(&c, tg_k.optim_squares[is_double], first, rows)
            self.hyper.scale = min(1.0, limit / (self.gradient_norm() + 1e-6))
        for first, rows, is_double in self.runs:
            self.start(&c, tg_k.optim[self.rule.index][is_double], first, rows)
        for alias in self.held:
            bump((<Tensor>alias).v)
        if self.copies:
            for param, copy in self.copies:
                if param is not None:
                    copy_into((<Tensor>param).v, (<Tensor>copy).v)
            self.copies.clear()
        return 0

    cdef int start(self, tg_call *c, tg_kernel kernel, Py_ssize_t first, Py_ssize_t rows) except -1:
        c.fn = kernel
        c.n[0] = rows
        c.p[0] = self.rows + first
        launch(c)
        return 0

    cdef int join(self, dict group, double *total) except -1:
        """After the steps of all groups: what the rule's TOTALS change in this group."""
        cdef tg_optim_hyper before = self.hyper
        cdef tg_call c
        cdef int k
        memcpy(self.hyper.total, total, sizeof(self.hyper.total))
        c.ndim = 0
        c.flags = TG_OPTIM_JOIN
        c.hyper = &self.hyper
        c.n[1] = c.n[2] = 0
        self.start(&c, tg_k.optim[self.rule.index][0], 0, 0)
        for k, (key, _) in enumerate(self.places):
            if self.hyper.rule[k] != before.rule[k]:
                group[key] = self.hyper.rule[k]
        return 0

    cdef double gradient_norm(self) noexcept:
        """Of all the group's gradients together, from the sums of their squares."""
        cdef double total = 0
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.rows[i].grad is not NULL:
                total += self.rows[i].sums[0]
        return sqrt(total)

    cdef int read(self, dict group) except -1:
        """Take over the group's numbers; returns its options as flags."""
        cdef int flags = 0, k
        cdef tg_optim_hyper *hyper = &self.hyper
        hyper.weight_decay = group.get("weight_decay", 0)
        hyper.l1, hyper.l2, hyper.group_lasso = group.get("l1", 0), group.get("l2", 0), group.get("group_lasso", 0)
        limit = group.get("max_norm")
        hyper.max_norm = INFINITY if limit is None else limit
        if group.get("maximize"):
            flags |= TG_OPTIM_MAXIMIZE
        if group.get("decoupled_weight_decay"):
            flags |= TG_OPTIM_DECOUPLED
        for k, name in enumerate(self.rule.options):
            if group[name]:
                flags |= TG_OPTIM_OPTION << k
        for k, (key, position) in enumerate(self.places):
            hyper.rule[k] = group[key] if position is None else group[key][position]
        return flags

    cdef bint fill(self, list params) except -1:
        """Point the rows at today's parameters and gradients; false if something is not as it was when bound."""
        cdef Py_ssize_t i
        cdef tg_optim_row *row
        cdef val v, g
        if len(params) != self.n:
            return False
        self.copies.clear()
        for i in range(self.n):
            if params[i] is not self.params[i]:
                return False
            v = (<Tensor>self.params[i]).v
            g = v.grad
            row = &self.rows[i]
            row.grad = NULL
            if g is NULL:
                continue
            if row.number[0] is NULL or v.meta is not self.metas[i]:
                return False
            row.param = v.data
            row.grad = g.data
            row.sparse = NULL
            if g.meta is not v.meta or not v.meta.flags & TG_CONTIGUOUS:
                self.stand_in(row, self.params[i])
            if row.sparse is NULL and not self.takes_dense:
                raise RuntimeError(f"{self.owner} does not support dense gradients, please consider Adam instead")
            bump(v)
        return True

    cdef int stand_in(self, tg_optim_row *row, Tensor param) except -1:
        """Give the kernel contiguous copies of a parameter or gradient that is not contiguous itself."""
        cdef val v = param.v, g = v.grad
        if g.flags & TG_ROW_SPARSE and not self.takes_sparse:
            refuse_sparse(self.owner)
        if g.meta.dtype != v.meta.dtype or not same_shape(g.meta, v.meta):
            raise RuntimeError(
                f"step: a {type_name(v.meta.dtype)} parameter of shape {as_tuple(v.meta.ndim, v.meta.shape)} has a "
                f"{type_name(g.meta.dtype)} gradient of shape {as_tuple(g.meta.ndim, g.meta.shape)}; they must agree")
        if g.flags & TG_ROW_SPARSE:
            self.stand_in_rows(row, g)
        elif not g.meta.flags & TG_CONTIGUOUS:
            copy = wrap(dense_copy(g, g.meta.dtype))
            row.grad = (<Tensor>copy).v.data
            self.copies.append((None, copy))
        if not v.meta.flags & TG_CONTIGUOUS:
            check_writable(v, "step")
            copy = wrap(dense_copy(v, v.meta.dtype))
            row.param = (<Tensor>copy).v.data
            self.copies.append((param, copy))
        return 0

    cdef int stand_in_rows(self, tg_optim_row *row, val g) except -1:
        """Give the kernel the rows of a row-sparse gradient, each once; or all, if others move on as well."""
        cdef int64_t k, before = -1
        if self.hyper.weight_decay != 0:
            raise RuntimeError(f"weight_decay option is not compatible with sparse gradients: in {self.owner} it moves all "
                               "rows; set it to 0, or make the gradient dense by p.grad = p.grad.to_dense()")
        if self.flags >= TG_OPTIM_OPTION:  # momentum
            copy = wrap(dense(g))
            row.grad = (<Tensor>copy).v.data
        else:
            copy = wrap_rows(coalesced(g))
            g = (<RowSparse>copy).v
            row.grad, row.sparse, row.count = g.data, <const int64_t *>g.rows.data, g.rows.meta.numel
            for k in range(row.count):  # who has the indices may have written to them
                if not before < row.sparse[k] < g.meta.shape[0]:
                    raise IndexError(f"step: row {row.sparse[k]} after row {before} in a coalesced gradient of "
                                     f"{g.meta.shape[0]} rows; they must rise")
                before = row.sparse[k]
        self.copies.append((None, copy))
        return 0

    cdef int bind(self, dict group, state, int flags) except -1:
        """Make the rows anew, and what state is lacking."""
        cdef list params = group["params"]
        cdef Py_ssize_t i, first = 0, pieces = 0, n = len(params)
        cdef Rule rule = self.rule
        cdef tg_optim_row *row
        cdef Tensor p
        cdef int k
        self.release()
        self.params = list(params)
        self.rows = <tg_optim_row *>PyMem_Calloc(n, sizeof(tg_optim_row))
        self.metas = <tg_meta **>PyMem_Calloc(n, sizeof(tg_meta *))
        self.steps = <float *>PyMem_Calloc(n, sizeof(float))
        if self.rows is NULL or self.metas is NULL or self.steps is NULL:
            raise MemoryError("not enough memory for an optimizer's table")
        self.n = n
        for i, param in enumerate(self.params):
            if not isinstance(param, Tensor):
                raise TypeError(f"step: a parameter must be a tensor, not {type(param).__name__}")
            p = param
            self.metas[i] = tg_meta_retain(p.v.meta)
            self.rows[i].numel = p.v.meta.numel
            self.rows[i].rows = p.v.meta.shape[0] if p.v.meta.ndim > 1 else 0
            pieces += 1 + p.v.meta.numel // TG_OPTIM_GRAIN
        self.sums = <double *>PyMem_Calloc(pieces, TG_OPTIM_SUMS * sizeof(double))
        if self.sums is NULL:
            raise MemoryError("not enough memory for an optimizer's sums")
        pieces = 0
        for i in range(n):
            self.rows[i].sums = self.sums + pieces * TG_OPTIM_SUMS
            pieces += 1 + self.rows[i].numel // TG_OPTIM_GRAIN
        needed, with_gradient = self.kept(flags), [p for p in self.params if (<Tensor>p).v.grad is not NULL]
        begun = self.begin(with_gradient, group, state, flags)
        aliases, lasting = {}, isinstance(state, Noticed)
        for i, p in enumerate(self.params):
            if p.v.grad is NULL:
                continue
            row = &self.rows[i]
            self.steps[i] = p not in begun  # such a rule asks no more than whether it is the first step
            row.number[0] = &self.steps[i]
            if not needed and not rule.numbers:
                continue
            entry = state[p]
            lasting = lasting and isinstance(entry, Noticed)
            for k, name in enumerate(rule.numbers):
                row.number[k] = <float *>state_memory(entry, name, NULL, aliases)
            for name in needed:
                row.state[rule.state.index(name)] = state_memory(entry, name, self.metas[i], aliases)
        self.held = list(aliases.values())
        self.runs = []
        for i in range(1, n + 1):
            if i == n or i - first == MAX_ROWS or self.metas[i].dtype != self.metas[first].dtype:
                self.runs.append((first, i - first, self.metas[first].dtype == TG_F64))
                first = i
        self.flags, self.state = flags, state
        self.epoch = state_epoch if lasting else 0
        return 0

    cdef list kept(self, int flags):
        """The names of the buffers that exist under these options."""
        cdef Rule rule = self.rule
        return [name for name, when in zip(rule.state, rule.kept)
                if when == "1" or flags & (TG_OPTIM_OPTION << rule.options.index(when))]

    cdef set begin(self, list params, dict group, state, int flags):
        """State that these parameters lack comes to be, the same types in one block; returns who lacked a buffer."""
        cdef Rule rule = self.rule
        cdef list needed = self.kept(flags)
        cdef Tensor p
        cdef int t
        numbers, buffers, begun = [], {TG_F32: [], TG_F64: []}, set()
        for p in params:
            if not is_float(p.v.meta.dtype):
                raise RuntimeError(f"step: a parameter must be float32 or float64, not {type_name(p.v.meta.dtype)}")
            if needed or rule.numbers:
                entry = state[p]
                numbers += [(entry, name, None) for name in rule.numbers if entry.get(name) is None]
                missing = [(entry, name, p) for name in needed if entry.get(name) is None]
                buffers[p.v.meta.dtype] += missing
                if missing:
                    begun.add(p)
        for t, wanted in ((TG_F32, numbers), *buffers.items()):
            create(wanted, t)
            for entry, name, like in wanted:
                value = rule.start(name, group)
                p = entry[name]
                if value is None:
                    copy_into(p.v, (<Tensor>like).v)
                elif value != 0:
                    fill(p.v, value, 0)
        return begun

    def summed(self, param):
        """What the latest step added up over a parameter: the SUMS of the rule."""
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.params[i] is param:
                return [self.rows[i].sums[k] for k in range(TG_OPTIM_SUMS)]

    def begin_all(self, dict group, state):
        """Make the state of all the group's parameters now, also of those that have no gradient yet."""
        self.begin(group["params"], group, state, self.read(group))

def take_steps(list steps, list groups, state):
    """Each MultiTensorStep with its parameter group."""
    cdef double total[2]
    cdef MultiTensorStep step
    memset(total, 0, sizeof(total))
    for step, group in zip(steps, groups):
        memcpy(step.hyper.total, total, sizeof(total))
        step.take(group, state)
        memcpy(total, step.hyper.total, sizeof(total))
    if steps and (<MultiTensorStep>steps[0]).rule.joint:
        for step, group in zip(steps, groups):
            step.join(group, total)

cdef int create(list wanted, int t) except -1:
    """For each (entry, name, like): entry[name] = zeros of like's shape, or 0-d; all in one block of type t."""
    cdef int64_t end = 0, bytes
    cdef int size = tg_size[t]
    cdef Tensor block
    cdef tg_meta *m
    if not wanted:
        return 0
    starts = []
    for _, _, like in wanted:
        bytes = size * ((<Tensor>like).v.meta.numel if like is not None else 1)
        if bytes >= 64:  # a cache line
            end = (end + 63) & ~63
        starts.append(end)
        end += bytes
    end = (end + size - 1) // size
    block = wrap(make_zeros(t, 1, &end))
    for (entry, name, like), start in zip(wanted, starts):
        if like is None:
            m = tg_meta_contiguous(<tg_dtype>t, 0, NULL)
        else:
            m = tg_meta_contiguous(<tg_dtype>t, (<Tensor>like).v.meta.ndim, (<Tensor>like).v.meta.shape)
        bytes = start
        entry[name] = wrap(checked(tg_value_new(tg_storage_retain(block.v.storage), block.v.data + bytes, m)))
    return 0

cdef void *state_memory(entry, str name, tg_meta *like, dict aliases) except NULL:
    """Where the state entry[name] lies: as many elements as like, or one float32. Its memory gets an alias."""
    cdef object found = entry[name]
    cdef val v
    cdef int t = TG_F32 if like is NULL else like.dtype
    cdef int64_t numel = 1 if like is NULL else like.numel
    if isinstance(found, Tensor):
        v = (<Tensor>found).v
        if v.meta.dtype == t and v.meta.numel == numel and v.meta.flags & TG_CONTIGUOUS \
                and (like is NULL or same_shape(v.meta, like)):
            if <size_t>v.storage not in aliases:
                aliases[<size_t>v.storage] = wrap(checked(
                    tg_value_new(tg_storage_retain(v.storage), v.data, tg_meta_retain(v.meta))))
            return v.data
        is_ = (f"{'' if v.meta.flags & TG_CONTIGUOUS else 'non-contiguous '}{type_name(v.meta.dtype)} "
               f"{as_tuple(v.meta.ndim, v.meta.shape)}")
    else:
        is_ = type(found).__name__
    shape = () if like is NULL else as_tuple(like.ndim, like.shape)
    raise RuntimeError(f"step: the state {name!r} of a parameter is {is_}, but must be a contiguous {type_name(t)} "
                       f"tensor of shape {shape}")

def clear_gradients(list params):
    """p.grad = None for each parameter."""
    for p in params:
        tg_release(require_tensor(p, "zero_grad", "a parameter").v.grad)
        (<Tensor>p).v.grad = NULL
