"""Cases of the metric worked out by hand, on an image of 4 x 5 pixels: columns of 4, 20 in all."""

from __future__ import annotations

from fractions import Fraction

SHAPE = (4, 5)

CASES = {
    # name: (truth, prediction, score)
    "both authentic": ("authentic", "authentic", Fraction(1)),
    "false alarm": ("authentic", "[1, 4]", Fraction(0)),
    "missed": ("[1, 4]", "authentic", Fraction(0)),
    "perfect": ("[1, 4]", "[1, 4]", Fraction(1)),
    "shifted by half": ("[1, 4]", "[3, 4]", Fraction(2 * 2, 4 + 4)),
    "apart": ("[1, 4]", "[5, 4]", Fraction(0)),
    "whole image": ("[1, 5]", "[1, 20]", Fraction(2 * 5, 5 + 20)),
    "no spaces": ("[1,4]", "[ 1 , 4 ]", Fraction(1)),
    # One group, source and copy, is one instance.
    "group as a whole": ("[1, 4, 9, 4]", "[1, 4, 9, 4]", Fraction(1)),
    "copy only": ("[1, 4, 9, 4]", "[9, 4]", Fraction(2, 3)),
    "components as instances": ("[1, 4, 9, 4]", "[1, 4];[9, 4]", Fraction(2, 3) / 2),
    "groups merged": ("[1, 4];[9, 4]", "[1, 4, 9, 4]", Fraction(2, 3) / 2),
    "one of two groups": ("[1, 4];[9, 4]", "[9, 4]", Fraction(1, 2)),
    "one group too many": ("[1, 4]", "[1, 4];[9, 4]", Fraction(1, 2)),
    "the same group twice": ("[1, 4]", "[1, 4];[1, 4]", Fraction(1, 2)),
    "other order": ("[1, 4];[9, 4];[17, 2]", "[17, 2];[1, 4];[9, 4]", Fraction(1)),
    # The best pair first would give 1 + 0; the best sum is 2/3 + 2/3.
    "greedy is not best": ("[1, 8];[5, 4]", "[1, 8];[1, 4]", Fraction(4, 3) / 2),
    # Odd but allowed.
    "adjacent runs": ("[1, 4]", "[1, 2, 3, 2]", Fraction(1)),
    "run of length 0": ("[1, 4]", "[1, 0, 1, 4, 9, 0]", Fraction(1)),
    "only a run of length 0": ("[1, 4]", "[5, 0]", Fraction(0)),
    "empty list beside another": ("[1, 4]", "[1, 4];[]", Fraction(1, 2)),
    "empty lists on both sides": ("[1, 4];[]", "[];[1, 4]", Fraction(1, 2)),
}
