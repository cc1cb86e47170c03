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
from c4build.t5.config import ModelConfig
from c4build.t5.layers import Block, Norm, dropout, split


def relative_buckets(queries: int, keys: int, bidirectional: bool, buckets: int = 32, max_distance: int = 128):
    """The bucket of each (query, key) distance: int32 [queries, keys].

    Half the buckets are exact small distances; the rest grow as a logarithm up to `max_distance`; all beyond share the
    last. A bidirectional stack gives half of all buckets to keys on the right. Computed in float32, as T5 does, since
    the rounding decides the bucket at the borders.
    """
    distance = np.arange(keys)[None, :] - np.arange(queries)[:, None]
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


POLICIES = {  # of `config.remat`: what the backward pass finds computed
    "none": jax.checkpoint_policies.everything_saveable,
    "minimal": jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        jax.checkpoint_policies.save_only_these_names(kernel.SAVED),
    ),
    "full": jax.checkpoint_policies.nothing_saveable,
}


def rematerialised(layer, policy: str):
    """The layer of a scan, which keeps what the policy says. Attention keeps no scores whatever it says."""
    return layer if policy == "none" else jax.checkpoint(layer, prevent_cse=False, policy=POLICIES[policy])


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

    def buckets(self, queries: int, keys: int, bidirectional: bool | None = None):
        config = self.config
        both = self.bidirectional if bidirectional is None else bidirectional
        return relative_buckets(queries, keys, both, config.buckets, config.max_distance)

    def position_bias(self, queries: int, keys: int, bidirectional: bool | None = None):
        """float32 [1, heads, queries, keys]."""
        return jnp.transpose(self.relative_bias[...][self.buckets(queries, keys, bidirectional)], (2, 0, 1))[None]

    def __call__(self, x, mask, encoded=None, cross_mask=None, key=None, bidirectional=None):
        """`mask` [batch, 1, queries, keys] says which keys a query may see; `cross_mask` the same for the encoder."""
        first, last, keys = None, None, None
        if key is not None:
            keys = jax.random.split(key, self.count + 2)
            first, last, keys = keys[0], keys[1], keys[2:]
        bias = self.position_bias(x.shape[1], x.shape[1], bidirectional)
        block, arrays = nnx.split(self.layers)

        def layer(x, own):
            arrays, key = own
            return nnx.merge(block, arrays)(x, bias, mask, encoded, cross_mask, key), None

        x = dropout(x, self.config.dropout, first)
        x, _ = jax.lax.scan(rematerialised(layer, self.config.remat), x, (arrays, keys))
        return dropout(self.norm(x), self.config.dropout, last)

    def caches(self, x, mask):
        """Keys and values of `x` [batch, length, d_model] in every layer: two of [layers, batch, length, heads, d_kv]."""
        bias = self.position_bias(x.shape[1], x.shape[1])
        block, arrays = nnx.split(self.layers)

        def layer(x, own):
            block_of_layer = nnx.merge(block, own)
            found = block_of_layer.attention.keys_values(block_of_layer.attention_norm(x))
            return block_of_layer(x, bias, mask, None, None, None), found

        return jax.lax.scan(layer, x, arrays)[1]

    def cross_caches(self, encoded):
        """Keys and values of the encoder's output in every layer: two of [layers, batch, inputs, heads, d_kv]."""
        block, arrays = nnx.split(self.layers)
        return jax.lax.map(lambda own: nnx.merge(block, own).cross_attention.keys_values(encoded), arrays)

    def step(self, x, position, caches, mask, cross_caches=None, cross_mask=None):
        """One token at `position` through all layers, see `Block.step`. `mask` bool [batch or 1, 1, 1, max_length]."""
        length = caches[0].shape[2]
        buckets = jax.lax.dynamic_index_in_dim(jnp.asarray(self.buckets(length, length)), position, 0)
        bias = jnp.transpose(self.relative_bias[...][buckets], (2, 0, 1))[None]
        block, arrays = nnx.split(self.layers)

        def layer(carry, own):
            arrays, number, cross_cache = own
            x, caches = carry
            step = nnx.merge(block, arrays).step
            return step(x, bias, mask, caches, number, position, cross_cache, cross_mask), None

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
        mask = same_segment(input_segments, input_segments)
        stack = self.decoder if self.config.architecture == "shared" else self.encoder
        return stack(self.embed(inputs), mask, key=key, bidirectional=True)

    def logits(self, x):  # [..., d_model] -> float32 [..., vocab_size]
        if self.config.scale_logits:
            x = x * self.config.d_model**-0.5
        table = (self.head if self.config.own_head else self.embedding)[...].astype(x.dtype)
        return jnp.einsum("...d,vd->...v", x, table, preferred_element_type=jnp.float32)

    def hidden(self, inputs, input_segments, decoder_inputs, target_segments, key=None):
        """The decoder's output, before the logits: [batch, targets, d_model]."""
        encoder_key, decoder_key = split(key, 2)
        encoded = self.encode(inputs, input_segments, encoder_key)
        mask = same_segment(target_segments, target_segments) & causal(decoder_inputs.shape[1])
        cross_mask = same_segment(target_segments, input_segments)
        return self.decoder(self.embed(decoder_inputs), mask, encoded, cross_mask, decoder_key)

    def __call__(self, inputs, input_segments, decoder_inputs, target_segments, key=None):
        return self.logits(self.hidden(inputs, input_segments, decoder_inputs, target_segments, key))

    def joint_hidden(self, tokens, segments, is_target, key=None):
        """Of a decoder alone, before the logits of each token: [batch, length, d_model]. `is_target` says which tokens of
        an example it must write; those before them are its prefix."""
        visible = causal(tokens.shape[1])
        if self.config.architecture == "prefix-lm":
            visible = visible | in_prefix(segments, is_target)[:, None, None, :]
        mask = same_segment(segments, segments) & visible
        return self.decoder(self.embed(shift_right(tokens, segments)), mask, key=key)

    def start_decoding(self, inputs, input_segments, length: int, copies: int = 1):
        """What decoding of at most `length` tokens starts with, each row `copies` times, side by side.

        Returns the token before the first one, int32 [rows]; the caches, two of [layers, rows, positions, heads, d_kv];
        and what stays as it is: the encoder's keys and values and mask, or which positions of the prefix are real.
        """
        if self.config.decoder_only:
            return self.start_behind_prefix(inputs, input_segments, length, copies)
        encoded = jnp.repeat(self.encode(inputs, input_segments), copies, 0)
        shape = (self.decoder.count, encoded.shape[0], length, self.config.heads, self.config.d_kv)
        empty = jnp.zeros(shape, self.config.dtype)
        fixed = {
            "cross_caches": self.decoder.cross_caches(encoded),
            "cross_mask": jnp.repeat(input_segments[:, None, None, :] > 0, copies, 0),
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
        real = from_start >= -1
        mask = real[:, None, None, :]
        if self.config.architecture == "lm":
            mask = mask & causal(width)
        caches = self.decoder.caches(self.embed(tokens), mask)
        room = ((0, 0), (0, 0), (0, length - 1), (0, 0), (0, 0))
        caches = jax.tree.map(lambda cache: jnp.repeat(jnp.pad(cache, room), copies, 1), caches)
        return jnp.repeat(tokens[:, -1], copies, 0), caches, {"prefix": jnp.repeat(real, copies, 0)}

    def decode_step(self, tokens, position, caches, fixed):
        """Logits [rows, vocab_size] of the token after `tokens` [rows] at `position`, and the caches grown by it."""
        length = caches[0].shape[2]
        if self.config.decoder_only:
            prefix = fixed["prefix"]
            position = position + prefix.shape[1] - 1
            real = jnp.pad(prefix, ((0, 0), (0, length - prefix.shape[1])), constant_values=True)
            cross = None, None
        else:
            real = jnp.ones((1, length), bool)
            cross = fixed["cross_caches"], fixed["cross_mask"]
        mask = (real & (jnp.arange(length) <= position))[:, None, None, :]
        x, caches = self.decoder.step(self.embed(tokens[:, None]), position, caches, mask, *cross)
        return self.logits(x)[:, 0], caches


def same_segment(query_segments, key_segments):
    """[batch, queries], [batch, keys] -> bool [batch, 1, queries, keys]; padding (0) is seen by nobody."""
    same = query_segments[:, None, :, None] == key_segments[:, None, None, :]
    return same & (key_segments > 0)[:, None, None, :]


def causal(length: int):
    return np.tri(length, dtype=bool)[None, None]


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
