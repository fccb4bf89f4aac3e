"""How far an exported network may be from its checkpoint."""

from __future__ import annotations

LOGITS = 1e-4
"""FP32 against torch: the largest difference of two logits, relative to the largest logit of the
batch (or to 1, where that is smaller). Relative, since the rounding of a sum grows with what is
summed, and a logit near 0 is the difference of large terms; at a logit of 10 it moves a probability
by at most 2.5e-4. What goes beyond is not rounding but another computation."""

PROBABILITY = 0.15
"""FP16 against FP32: the largest difference of a probability at any pixel. Networks trained here
reached half of it, at a few pixels of steep edges; an overflow or a lost epsilon goes far beyond.

FP32 against torch as well, in place of `LOGITS`, for networks that search for copies: where two
matches are alike, rounding decides which is taken, and what the network then says is another answer
and just as good."""

PROBABILITY_MEAN = 0.003
"""FP16 against FP32: the mean difference of probabilities. Networks trained here reached a third of
it. A shift of the whole map would move the score of every image against its gate."""

SCORE = 0.005
"""FP16 against FP32: how much of the metric may be lost on labelled images. Half of what separates
neighbours in the comparison of networks."""
