# Moving images: affine maps, crops, resizing. A call moves a batch, each image by parameters of its own, given or drawn.

cdef extern from "resample.h" nogil:
    enum: TG_GIVEN_ONCE, TG_GIVEN_EACH, TG_DRAWN
    enum: TG_WARP_PARAMETERS, TG_WARP_BLOCKS, TG_WARP_SIDE
    enum: TG_CROP_PARAMETERS, TG_CROP_BLOCKS
    ctypedef struct tg_images:
        int64_t images, channels, height, width, out_height, out_width
    ctypedef struct tg_warp:
        tg_images size
        int64_t source, bilinear
        double centre[2]
        double least[6]
        double most[6]
    ctypedef struct tg_crop:
        tg_images size
        int64_t source, padding
        int64_t least[2]
        int64_t most[2]
        double flips[2]
    enum: TG_BOX_PARAMETERS, TG_BOX_BLOCKS
    ctypedef struct tg_resize:
        tg_images size
        int64_t source, filter
        double scale[2]
        double ratio[2]
    enum: TG_BLUR_BLOCKS
    ctypedef struct tg_blur:
        tg_images size
        int64_t source
        int64_t taps[2]
        double sigma[2]
    enum: TG_COLOURS, TG_JITTER_PARAMETERS, TG_JITTER_BLOCKS
    ctypedef struct tg_jitter:
        tg_images size
        int64_t source
        int64_t on[4]
        double least[4]
        double most[4]

cdef int image_sizes(str op, val x, object out_size, tg_images *size) except -1:
    """Checks an image or a batch of them and notes its sizes; the result's (height, width) are the same for None."""
    cdef int nd = x.meta.ndim, t = x.meta.dtype
    if nd != 3 and nd != 4:
        raise ValueError(f"{op}: expected an image (channels, height, width) or a batch of them (images, channels, height, "
                         f"width), but got shape {shape_of(x)}")
    if t != TG_U8 and not is_float(t):
        raise TypeError(f"{op}: expected an image of uint8, float32 or float64, but got {type_name(t)}; convert it")
    if x.meta.shape[nd - 1] == 0 or x.meta.shape[nd - 2] == 0:
        raise ValueError(f"{op}: an image must have pixels, but the shape is {shape_of(x)}")
    out_height, out_width = (x.meta.shape[nd - 2], x.meta.shape[nd - 1]) if out_size is None else out_size
    if not (1 <= out_height <= MOST and 1 <= out_width <= MOST):
        raise ValueError(f"{op}: the result's height and width must be at least 1 and below 2**31, not "
                         f"{(out_height, out_width)}")
    if tracks(x):
        raise RuntimeError(f"{op}: there is no gradient with respect to the image, but it requires one: pass image.detach(), or "
                           f"call it under no_grad()")
    size[0] = tg_images(x.meta.shape[0] if nd == 4 else 1, x.meta.shape[nd - 3], x.meta.shape[nd - 2], x.meta.shape[nd - 1],
                        out_height, out_width)
    return 0

cdef val fill_values(str op, object fill, int t, int64_t channels) except NULL:
    """One number of type t for each channel; zeros for None."""
    numbers = fill.tolist() if hasattr(fill, "tolist") else 0 if fill is None else fill
    numbers = list(numbers) if isinstance(numbers, (tuple, list)) else [numbers]
    if len(numbers) == 1:
        numbers *= channels
    if len(numbers) != channels:
        raise ValueError(f"{op}: expected fill to be a number or one for each of {channels} channels, not {fill}")
    if t == TG_U8 and not all(0 <= number <= 255 for number in numbers):
        raise ValueError(f"{op}: fill must lie between 0 and 255 for images of uint8, not {fill}")
    cdef val out = make_empty(t, 1, &channels)
    cdef int64_t k
    for k in range(channels):
        if t == TG_F32:
            (<float *>out.data)[k] = numbers[k]
        elif t == TG_F64:
            (<double *>out.data)[k] = numbers[k]
        else:
            (<uint8_t *>out.data)[k] = int(numbers[k])
    return out

cdef tuple moved(str op, tg_call *c, tg_kernel *kernels, val x, const tg_images *size, object given, int t,
                 int64_t parameters, int64_t *source, int64_t blocks, object generator):
    """The images that a kernel makes of x, and the parameters, of type t: those given, a row for each image or one for all,
    or those that the kernel draws, from `blocks` blocks for each image, if none are given. c holds what else it reads."""
    cdef int nd = x.meta.ndim
    cdef int64_t shape[4]
    cdef int64_t rows[2]
    cdef Tensor table
    cdef val out, used
    memcpy(shape, x.meta.shape, nd * sizeof(int64_t))
    shape[nd - 2], shape[nd - 1] = size.out_height, size.out_width
    out = make_empty(x.meta.dtype, nd, shape)
    if given is None:
        rows[0], rows[1] = size.images, parameters
        used = make_empty(t, 2, rows)
        source[0] = TG_DRAWN
        reserve(c, size.images * blocks, generator)
    else:
        table = require_tensor(given, op, "the parameters")
        used = op_raw_contiguous(table.v)
        if (used.meta.dtype != t or used.meta.ndim != 2 or used.meta.shape[1] != parameters
                or used.meta.shape[0] != 1 and used.meta.shape[0] != size.images):
            raise ValueError(f"{op}: expected parameters of {type_name(t)} in the shape ({size.images}, {parameters}) or "
                             f"(1, {parameters}), but got {type_name(used.meta.dtype)} in {shape_of(used)}")
        source[0] = TG_GIVEN_EACH if used.meta.shape[0] == size.images else TG_GIVEN_ONCE
    c.fn = kernels[x.meta.dtype]
    c.n = [size.images, 1, 1]
    c.p[0] = out.data
    c.p[1] = op_raw_contiguous(x).data
    c.p[2] = used.data
    if out.meta.numel:
        launch_worth(c, out.meta.numel)
    return wrap_pair(out, used)

def warp_affine(str op, input, parameters, least, most, bint bilinear, fill, centre, out_size, generator=None):
    """Images turned, shifted, scaled and sheared, and by how much, (N, 6) of float64: angle in degrees, shift x, shift y,
    scale, shear x, shear y. Drawn between least and most if no parameters are given; shifts are then rounded."""
    cdef Tensor x = require_tensor(input, op, "the image")
    cdef tg_warp s
    cdef tg_call c
    cdef int k
    image_sizes(op, x.v, out_size, &s.size)
    if max(s.size.height, s.size.width, s.size.out_height, s.size.out_width) > TG_WARP_SIDE:
        raise ValueError(f"{op}: images may have {TG_WARP_SIDE} pixels along a side, but this is from "
                         f"{(s.size.height, s.size.width)} to {tuple(out_size)}")
    s.bilinear = bilinear
    s.centre = [centre[0], centre[1]]
    if parameters is None:
        for k in range(TG_WARP_PARAMETERS):
            s.least[k], s.most[k] = least[k], most[k]
    c.p[3] = fill_values(op, fill, x.v.meta.dtype, s.size.channels).data
    c.hyper = &s
    return moved(op, &c, tg_k.warp_affine, x.v, &s.size, parameters, TG_F64, TG_WARP_PARAMETERS, &s.source,
                 TG_WARP_BLOCKS, generator)

def crop(str op, input, parameters, least, most, flips, int padding, fill, out_size, generator=None):
    """Parts of images, mirrored, and which, (N, 4) of int64: top, left, whether upside down, whether left to right. What is
    drawn lies from least to most, and is mirrored with the probabilities `flips`."""
    cdef Tensor x = require_tensor(input, op, "the image")
    cdef tg_crop s
    cdef tg_call c
    cdef int k
    image_sizes(op, x.v, out_size, &s.size)
    s.padding = padding
    for corner in (least, most) if parameters is None else parameters.tolist():
        if not all(-MOST <= place <= MOST for place in corner[:2]):
            raise ValueError(f"{op}: the part's first row and column must lie between -2**31 and 2**31, not {corner[:2]}")
    if parameters is None:
        for k in range(2):
            s.least[k], s.most[k], s.flips[k] = least[k], most[k], flips[k]
    c.p[3] = fill_values(op, fill, x.v.meta.dtype, s.size.channels).data
    c.hyper = &s
    return moved(op, &c, tg_k.crop, x.v, &s.size, parameters, TG_I64, TG_CROP_PARAMETERS, &s.source, TG_CROP_BLOCKS,
                 generator)

cdef val float_rows(int t, const tg_images *size, int64_t height) except NULL:
    """Room for rows of sums: of the type that images of type t are computed in."""
    cdef int64_t shape[4]
    shape[0], shape[1], shape[2], shape[3] = size.images, size.channels, height, size.width
    return make_empty(TG_F64 if t == TG_F64 else TG_F32, 4, shape)

def resize(str op, input, boxes, scale, ratio, int filter, out_size, generator=None):
    """Parts of images brought to a size, and which, (N, 4) of int64: top, left, height, width. What is drawn has a share of the
    area within `scale` and a width over height within `ratio`. filter: 0 nearest, 1 bilinear, 2 bilinear with antialiasing."""
    cdef Tensor x = require_tensor(input, op, "the image")
    cdef tg_resize s
    cdef tg_call c
    cdef int k
    image_sizes(op, x.v, out_size, &s.size)
    s.filter = filter
    if boxes is None:
        for k in range(2):
            s.scale[k], s.ratio[k] = scale[k], ratio[k]
    else:
        for top, left, height, width in boxes.tolist():
            if top < 0 or left < 0 or height < 1 or width < 1 or top + height > s.size.height or left + width > s.size.width:
                raise ValueError(f"{op}: the part (top, left, height, width) = {(top, left, height, width)} does not lie inside "
                                 f"an image of {(s.size.height, s.size.width)}")
    c.p[4] = float_rows(x.v.meta.dtype, &s.size, s.size.out_height).data
    c.hyper = &s
    return moved(op, &c, tg_k.resize, x.v, &s.size, boxes, TG_I64, TG_BOX_PARAMETERS, &s.source, TG_BOX_BLOCKS, generator)

def gaussian_blur(str op, input, taps, sigmas, sigma, generator=None):
    """Images as means weighted by a normal density over taps (along y, x), and its deviations, (N, 2) of float64, along y and x.
    What is drawn lies within `sigma` and is the same along both."""
    cdef Tensor x = require_tensor(input, op, "the image")
    cdef tg_blur s
    cdef tg_call c
    cdef int k
    cdef int64_t shape[2]
    image_sizes(op, x.v, None, &s.size)
    s.taps = [taps[0], taps[1]]
    if s.taps[0] // 2 >= s.size.height or s.taps[1] // 2 >= s.size.width:
        raise ValueError(f"{op}: kernel_size (along y, x) {tuple(taps)} reaches further than an image of "
                         f"{(s.size.height, s.size.width)} can be mirrored")
    if sigmas is None:
        s.sigma = [sigma[0], sigma[1]]
    shape[0], shape[1] = s.size.images, s.taps[0] + s.taps[1]
    c.p[3] = make_empty(TG_F64, 2, shape).data
    c.p[4] = float_rows(x.v.meta.dtype, &s.size, s.size.height).data
    c.hyper = &s
    return moved(op, &c, tg_k.blur, x.v, &s.size, sigmas, TG_F64, 2, &s.source, TG_BLUR_BLOCKS, generator)

def jitter(str op, input, parameters, least, most, generator=None):
    """Images with other brightness, contrast, saturation and hue, and in which order and by how much, (N, 8) of float64: which
    of the four is done first, second, third, fourth (-1: none); their factors. What is drawn lies from least to most; None
    leaves that one out."""
    cdef Tensor x = require_tensor(input, op, "the image")
    cdef tg_jitter s
    cdef tg_call c
    cdef int k
    image_sizes(op, x.v, None, &s.size)
    if s.size.channels != 1 and s.size.channels != 3:
        raise ValueError(f"{op}: expected 1 or 3 channels (red, green, blue), but got shape {shape_of(x.v)}")
    if parameters is None:
        for k in range(TG_COLOURS):
            s.on[k] = least[k] is not None
            s.least[k], s.most[k] = (least[k], most[k]) if s.on[k] else (0, 0)
    c.hyper = &s
    return moved(op, &c, tg_k.jitter, x.v, &s.size, parameters, TG_F64, TG_JITTER_PARAMETERS, &s.source, TG_JITTER_BLOCKS,
                 generator)
