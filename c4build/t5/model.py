"""T5 and its relatives (sections 2.1 and 3.2 of the paper), in Flax NNX.

Notable choices:
- RMS layer norm without bias before each block, residuals around it, no biases anywhere, no 1/sqrt(d) in attention.
- Relative positions: 32 buckets to distance 128, one table a stack, shared by its layers.
- Several examples may share a row. Attention stays inside an example (equal segment ids), and since an example's
  tokens lie side by side, the distance between two of its tokens is the distance in the row: no positions are needed.
- `config.architecture`: an encoder and a decoder; one set of weights as both, with one table of positions, whose buckets
  the encoder reads in both directions; or a decoder alone, in whose rows an example's targets stand behind its inputs,
  causal ("lm") or with the inputs visible to one another ("prefix-lm", whose buckets are those of both directions, as in
  T5's code).
- Dropout's noise is shared along the length, as in T5's own code; it is drawn from keys passed in.
- The layers of a stack are one: their arrays have a leading axis for the layers, over which `lax.scan` goes, so that a
  stack compiles in the time of a layer. What the backward pass keeps is `config.remat`'s policy.
- Parameters are float32; products run in `config.dtype`; norms, softmax and logits are float32.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from c4build.t5 import kernel
from c4build.t5.attention import Visible
from c4build.t5.config import ModelConfig
from c4build.t5.cpu import on_cpu
from c4build.t5.layers import Block, Norm, dropout, split


def relative_buckets(distance: np.ndarray, bidirectional: bool, buckets: int = 32, max_distance: int = 128):
    """The bucket, int32, of each distance: a key's place less the query's.

    Half the buckets are exact small distances; the rest grow as a logarithm up to `max_distance`; all beyond share the
    last. A bidirectional stack gives half of all buckets to keys on the right. Computed in float32, as T5 does, since
    the rounding decides the bucket at the borders.
    """
    offset = np.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        offset = np.where(distance > 0, buckets, 0)
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = buckets // 2
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    ratio = ratio / np.float32(math.log(max_distance / exact)) * np.float32(buckets - exact)
    large = np.minimum(exact + ratio.astype(np.int32), buckets - 1)
    return (offset + np.where(distance < exact, distance, large)).astype(np.int32)


AT_ONCE = {"gpu": 12, "cpu": 2}  # layers


def layers_at_once(layers: int) -> int:
    """How many layers a device's program has one after another, so that it need not cut their arrays out of those of all. On a CPU
    it is all or one, since some of many bring nothing there; of all, XLA finds attention's scores once for both passes."""
    most = AT_ONCE.get(jax.default_backend(), 1)
    return 1 if on_cpu() and layers > most else min(most, layers)


POLICIES = {  # of `config.remat`: what the backward pass finds computed
    "none": jax.checkpoint_policies.everything_saveable,
    "minimal": jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        jax.checkpoint_policies.save_only_these_names(kernel.SAVED),
    ),
    "full": jax.checkpoint_policies.nothing_saveable,
}


def rematerialised(layer, policy: str, at_once: int = 1):
    """The layer of a scan, `at_once` of which stand one after another in the program: it keeps what the policy says.
    Attention keeps no scores whatever it says."""
    if policy == "none":
        return layer
    # Those of one program XLA would find the same in the backward pass, and keep.
    return jax.checkpoint(layer, prevent_cse=at_once > 1, policy=POLICIES[policy])


class Stack(nnx.Module):
    """Layers one after another. `cross`: they have attention to an encoder. `bidirectional`: what their buckets are of."""

    def __init__(self, config: ModelConfig, layers: int, cross: bool, bidirectional: bool, rngs: nnx.Rngs):
        self.config = config
        self.bidirectional = bidirectional
        start = nnx.initializers.variance_scaling(1.0, "fan_avg", "uniform")  # as T5X starts them
        self.relative_bias = nnx.Param(start(rngs.params(), (config.buckets, config.heads)))
        self.count = layers
        each = nnx.split_rngs(splits=layers)(nnx.vmap(lambda rngs: Block(config, cross, rngs)))
        self.layers = each(rngs)  # one block, all of whose arrays are [layers, ...]
        self.norm = Norm(config)

    def position_bias(self, length: int, bidirectional: bool | None = None):
        """float32 [heads, 2 * length - 1], by distance, see `attention.attend`."""
        config = self.config
        both = self.bidirectional if bidirectional is None else bidirectional
        distances = np.arange(1 - length, length)
        return self.relative_bias[...][relative_buckets(distances, both, config.buckets, config.max_distance)].T

    def __call__(self, x, visible, encoded=None, cross_visible=None, key=None, bidirectional=None):
        """`visible` says which keys a query sees; `cross_visible` the same for the encoder."""
        first, last, keys = None, None, None
        if key is not None:
            keys = jax.random.split(key, self.count + 2)
            first, last, keys = keys[0], keys[1], keys[2:]
        bias = self.position_bias(x.shape[1], bidirectional)
        block, arrays = nnx.split(self.layers)

        def layer(x, own):
            arrays, key = own
            return nnx.merge(block, arrays)(x, bias, visible, encoded, cross_visible, key), None

        x = dropout(x, self.config.dropout, first)
        at_once = layers_at_once(self.count)
        layer = rematerialised(layer, self.config.remat, at_once)
        x, _ = jax.lax.scan(layer, x, (arrays, keys), unroll=at_once)
        return dropout(self.norm(x), self.config.dropout, last)

    def caches(self, x, visible):
        """Keys and values of `x` [batch, length, d_model] in every layer: two of [layers, batch, length, heads, d_kv]."""
        bias = self.position_bias(x.shape[1])
        block, arrays = nnx.split(self.layers)

        def layer(x, own):
            block_of_layer = nnx.merge(block, own)
            found = block_of_layer.attention.keys_values(block_of_layer.attention_norm(x))
            return block_of_layer(x, bias, visible, None, None, None), found

        return jax.lax.scan(layer, x, arrays)[1]

    def cross_caches(self, encoded):
        """Keys and values of the encoder's output in every layer: two of [layers, batch, inputs, heads, d_kv]."""
        block, arrays = nnx.split(self.layers)
        return jax.lax.map(lambda own: nnx.merge(block, own).cross_attention.keys_values(encoded), arrays)

    def step(self, x, position, caches, visible, cross_caches=None, cross_visible=None):
        """One token at `position` through all layers, see `Block.step`."""
        length = caches[0].shape[2]
        bias = jax.lax.dynamic_slice_in_dim(self.position_bias(length), length - 1 - position, length, 1)
        block, arrays = nnx.split(self.layers)

        def layer(carry, own):
            arrays, number, cross_cache = own
            x, caches = carry
            step = nnx.merge(block, arrays).step
            return step(x, bias, visible, caches, number, position, cross_cache, cross_visible), None

        (x, caches), _ = jax.lax.scan(layer, (x, caches), (arrays, jnp.arange(self.count), cross_caches))
        return self.norm(x), caches


class T5(nnx.Module):
    """Token ids in, logits out. Rows may hold several examples: equal segment ids belong together, 0 is padding."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs):
        self.config = config
        self.embedding = nnx.Param(jax.random.normal(rngs.params(), (config.vocab_size, config.d_model)))
        if config.architecture == "encoder-decoder":
            self.encoder = Stack(config, config.encoder_layers, False, True, rngs)
        both_ways = config.architecture == "prefix-lm"
        self.decoder = Stack(config, config.decoder_layers, not config.decoder_only, both_ways, rngs)
        if config.own_head:
            start = config.d_model**-0.5 * jax.random.normal(rngs.params(), (config.vocab_size, config.d_model))
            self.head = nnx.Param(start)

    def embed(self, tokens):  # [batch, length] -> [batch, length, d_model]
        return self.embedding[...][tokens].astype(self.config.dtype)

    def encode(self, inputs, input_segments, key=None):
        visible = Visible(input_segments, input_segments)
        stack = self.decoder if self.config.architecture == "shared" else self.encoder
        return stack(self.embed(inputs), visible, key=key, bidirectional=True)

    def output(self, x):
        """Of [..., d_model], what is multiplied to logits: `x` itself, scaled, and the output matrix [vocab_size, d_model]."""
        if self.config.scale_logits:
            x = x * self.config.d_model**-0.5
        return x, (self.head if self.config.own_head else self.embedding)[...].astype(x.dtype)

    def logits(self, x):  # [..., d_model] -> float32 [..., vocab_size]
        return product(*self.output(x))

    def hidden(self, inputs, input_segments, decoder_inputs, target_segments, key=None):
        """The decoder's output, before the logits: [batch, targets, d_model]."""
        encoder_key, decoder_key = split(key, 2)
        encoded = self.encode(inputs, input_segments, encoder_key)
        visible = Visible(target_segments, target_segments, places(decoder_inputs))
        cross_visible = Visible(target_segments, input_segments)
        return self.decoder(self.embed(decoder_inputs), visible, encoded, cross_visible, decoder_key)

    def __call__(self, inputs, input_segments, decoder_inputs, target_segments, key=None):
        return self.logits(self.hidden(inputs, input_segments, decoder_inputs, target_segments, key))

    def joint_hidden(self, tokens, segments, is_target, key=None):
        """Of a decoder alone, before the logits of each token: [batch, length, d_model]. `is_target` says which tokens of
        an example it must write; those before them are its prefix."""
        first = places(tokens)
        if self.config.architecture == "prefix-lm":
            first = jnp.where(in_prefix(segments, is_target), 0, first)
        visible = Visible(segments, segments, first)
        return self.decoder(self.embed(shift_right(tokens, segments)), visible, key=key)

    def start_decoding(self, inputs, input_segments, length: int, copies: int = 1):
        """What decoding of at most `length` tokens starts with, each row `copies` times, side by side.

        Returns the token before the first one, int32 [rows]; the caches, two of [layers, rows, positions, heads, d_kv];
        and what stays as it is: the encoder's keys and values and which of them are real, or which of the prefix are.
        """
        if self.config.decoder_only:
            return self.start_behind_prefix(inputs, input_segments, length, copies)
        encoded = jnp.repeat(self.encode(inputs, input_segments), copies, 0)
        shape = (self.decoder.count, encoded.shape[0], length, self.config.heads, self.config.d_kv)
        empty = jnp.zeros(shape, self.config.dtype)
        fixed = {
            "cross_caches": self.decoder.cross_caches(encoded),
            "cross_keys": jnp.repeat((input_segments > 0).astype(jnp.int32), copies, 0),
        }
        return jnp.zeros(encoded.shape[0], jnp.int32), (empty, empty), fixed

    def start_behind_prefix(self, inputs, input_segments, length: int, copies: int):
        """The prefix is moved to the right, so that all rows' targets begin in one place; relative positions do not mind.

        Its last token, the end token of the inputs, is read once more by the first step, which writes the same over it.
        """
        width = (
            -(-(inputs.shape[1] + 1) // 8) * 8
        )  # id 0 comes before the inputs, as in training; kernels like even lengths
        from_start = jnp.arange(width) - (width - (input_segments > 0).sum(1, keepdims=True))
        tokens = jnp.take_along_axis(inputs, jnp.maximum(from_start, 0), 1) * (from_start >= 0)
        real = (from_start >= -1).astype(jnp.int32)
        first = places(tokens) if self.config.architecture == "lm" else None
        caches = self.decoder.caches(self.embed(tokens), Visible(jnp.ones_like(real), real, first))
        room = ((0, 0), (0, 0), (0, length - 1), (0, 0), (0, 0))
        caches = jax.tree.map(lambda cache: jnp.repeat(jnp.pad(cache, room), copies, 1), caches)
        return jnp.repeat(tokens[:, -1], copies, 0), caches, {"prefix": jnp.repeat(real, copies, 0)}

    def decode_step(self, tokens, position, caches, fixed):
        """Logits [rows, vocab_size] of the token after `tokens` [rows] at `position`, and the caches grown by it."""
        length = caches[0].shape[2]
        query = jnp.ones((1, 1), jnp.int32)
        if self.config.decoder_only:
            prefix = fixed["prefix"]
            position = position + prefix.shape[1] - 1
            real = jnp.pad(prefix, ((0, 0), (0, length - prefix.shape[1])), constant_values=1)
            cross: tuple = None, None
        else:
            real = jnp.ones((1, length), jnp.int32)
            cross = fixed["cross_caches"], Visible(query, fixed["cross_keys"])
        visible = Visible(query, jnp.where(jnp.arange(length) <= position, real, 0))
        x, caches = self.decoder.step(self.embed(tokens[:, None]), position, caches, visible, *cross)
        return self.logits(x)[:, 0], caches


def product(x, table):
    """[..., d_model], [vocab_size, d_model] -> float32 [..., vocab_size]."""
    return jnp.einsum("...d,vd->...v", x, table, preferred_element_type=jnp.float32)


def places(tokens):
    """int32 [1, length]: as `Visible.first` it says that a query sees no key behind it."""
    return np.arange(tokens.shape[1], dtype=np.int32)[None]


def one_right(x):
    """[batch, length]: everything one position later, 0 first."""
    return jnp.pad(x, ((0, 0), (1, 0)))[:, :-1]


def shift_right(targets, target_segments):
    """The decoder's input: the target one to the right, id 0 at the start of every segment."""
    return jnp.where(one_right(target_segments) == target_segments, one_right(targets), 0)


def in_prefix(segments, is_target):
    """Which positions of rows [batch, length] read a token of their example's inputs: those whose own token is one, and
    the one behind them, which reads the inputs' end token and writes the first target. Of an example without inputs: none."""
    inputs = (segments > 0) & (is_target == 0)
    return inputs | (one_right(inputs) & (one_right(segments) == segments))
