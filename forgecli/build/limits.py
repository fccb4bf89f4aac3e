"""How far an exported network may be from its checkpoint."""

from __future__ import annotations

LOGITS = 1e-4
"""FP32 against torch: the largest difference of two logits, relative to the largest logit of the
batch (or to 1, where that is smaller). Relative, since the rounding of a sum grows with what is
summed, and a logit near 0 is the difference of large terms; at a logit of 10 it moves a probability
by at most 2.5e-4. What goes beyond is not rounding but another computation."""

PROBABILITY = 0.15
"""FP16 against FP32: the largest difference of a probability at any pixel.

It rests on the format: rounding every result of a residual network of random weights, as deep as a
ResNet-18, to the 11 bits of half precision moves a probability by 0.02 to 0.03 at most; to 8 bits,
those of bfloat16, by 0.14 to 0.28 (tests/build/test_limits.py). So what is beyond is not this
rounding, unless the network is more than twice as deep. Networks trained here reached half of it,
at a few pixels of steep edges; an overflow or a lost epsilon goes far beyond.

FP32 against torch as well, in place of `LOGITS`, for networks that search for copies: where two
matches are alike, rounding decides which is taken, and what the network then says is another answer
and just as good."""

PROBABILITY_MEAN = 0.003
"""FP16 against FP32: the mean difference of probabilities. Rounding alone gives a tenth of it, and
8 bits about all of it (see `PROBABILITY`); networks trained here reached a third. A shift of the
whole map would move the score of every image against its gate."""

SCORE = 0.005
"""FP16 against FP32: how much of the metric may be lost on labelled images. Half of what separates
neighbours in the comparison of networks."""
