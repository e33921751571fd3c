"""Names of what can be chosen by a flag, for `--help`: the tables that have these keys are in files
that need torch (networks.py, losses.py, perceptual.py); a test holds each to its table."""

from models.sizes import SIZE_MULTIPLES

GENERATORS = tuple(SIZE_MULTIPLES)
DISCRIMINATORS = ("basic", "n_layers", "pixel")
NORMS = ("batch", "instance", "syncbatch", "none")
INIT_TYPES = ("normal", "xavier", "kaiming", "orthogonal")
GAN_MODES = ("lsgan", "vanilla", "wgangp")
PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
MEMORY_FORMATS = ("auto", "contiguous", "channels_last")

# Of style transfer.
NETS = ("vgg16", "vgg19", "squeezenet1_0")
PREPROCESSES = ("imagenet", "caffe", "plain")
POOLINGS = ("max", "avg")
GRAM_NORMS = ("hw", "chw", "nchw")
