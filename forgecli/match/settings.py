"""Every number of the match detector, in one place, with the reason for its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval

Share = Annotated[float, Interval(ge=0, le=1)]
Positive = Annotated[float, Gt(0)]
Correlation = Annotated[float, Interval(ge=-1, le=1)]
Count = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """Settings of the match detector. Lengths are pixels of the input image.

    Where no measurement is named, the value is a judgement that was looked at on drawn and
    synthetic images and not tuned further.
    """

    # Layout
    gutter_ripple: Annotated[float, Ge(0)] = 12.0
    """Range of grey levels along a gutter: JPEG leaves some."""
    min_gutter: Count = 3
    """Journals set panels closer than this only where they touch."""
    min_panel: Count = 32
    """Smaller pieces are labels and marks."""
    max_cuts: Count = 8
    """Figures nest rows in columns a few times; deeper cuts would split single images."""
    drawing_window: Count = 15
    """Wide enough to hold a letter's stroke and the ground beside it."""
    drawing_ripple: Annotated[float, Ge(0)] = 4.0
    """Range of grey levels in 3 x 3 pixels of a drawing's ground, JPEG ripple included."""
    drawing_contrast: Positive = 80.0
    """Grey levels between a drawn mark and its ground: marks are made to be seen."""
    drawing_steepness: Share = 0.6
    """Share of a drawn edge's height that is climbed within two pixels; optics climb slower."""
    drawing_quiet: Share = 0.4
    """Share of pixels around a drawing that equal their neighbours."""
    drawing_share: Share = 0.35
    """A panel with more drawn pixels than this is a graph, table, diagram or text."""
    annotation_share: Share = 0.02
    """Larger flat areas are ground or clipped objects and not letters."""

    # Keypoints
    contrast_threshold: Annotated[float, Ge(0)] = 0.001
    """SIFT's, far under its default of 0.04: cells and bands are faint."""
    edge_threshold: Positive = 20.0
    """SIFT's, twice its default: membranes and band edges are worth keeping."""
    max_keypoints: Count = 12_000
    """The strongest; all against all costs the square of it."""
    upscale_below: Count = 700
    """Images with a shorter long side are enlarged, since copied objects in them are small.
    Enlarging larger images too, and more, took twice the time for 3 % more copies among the
    candidates (37 synthetic forgeries)."""
    max_upscale: Count = 2
    """SIFT doubles the image once more by itself."""

    # Proposals
    neighbours: Annotated[int, Ge(2)] = 4
    """Nearest descriptors looked at, in original and in mirrored form; the last is the ratio's
    denominator (generalised 2-nearest-neighbour, Amerini et al., TIFS 2011)."""
    max_descriptor_distance: Positive = 0.75
    """Euclidean distance of RootSIFT vectors of unit length. Loose: every match is verified."""
    max_ratio: Share = 0.95
    """Of a descriptor's distance to the last one looked at. Loose for the same reason."""
    min_distance: Positive = 12.0
    """A point does not match one nearer than this: neighbours look alike."""
    min_scale: Positive = 0.6
    max_scale: Positive = 1.67
    """Copies are seldom scaled further, and look-alikes are found at any scale."""
    max_anisotropy: Annotated[float, Ge(1)] = 1.35
    """Largest over smallest stretch of a map: people rotate, mirror and scale, but do not shear."""

    # Refinement
    patch_radius: Count = 8
    """17 x 17 pixels: smaller patches leave the six numbers of a map undecided, larger ones reach
    beyond small objects."""
    refine_steps: Count = 8
    """At most; a match that moves less than 0.03 px stops earlier."""
    min_patch_correlation: Correlation = 0.7
    """In the low band after refinement. Copies measured 0.8 and more except under strong JPEG."""

    # Candidates
    extent_radius: Annotated[int, Ge(4)] = 24
    """Of the neighbourhood in which a match is ranked: a few times a small object."""
    extent_correlation: Correlation = 0.75
    """At which a pixel there agrees; between the two thresholds of growth."""
    cluster_radius: Positive = 32.0
    """Within it, matches of one copy support each other."""
    support_tolerance: Positive = 2.0
    """A refined map is that good at the edge of its cluster."""
    min_cluster: Annotated[int, Ge(3)] = 6
    """Matches from which one map is fitted by MAGSAC++; three decide an affine map."""
    max_candidates: Count = 40
    """Maps grown per image, best first. Of 50 synthetic forgeries, 76 % had a true match among the
    first 30 maps and 80 % among the first 60."""
    candidate_separation: Positive = 3.0
    """Two matches whose maps differ less than this where both hold are the same candidate."""
    usable_share: Share = 0.5
    """Share of a region that must not be drawn, empty or gutter."""

    # Growth
    grow_margin: Count = 32
    """Around the seeds at first; doubled wherever the region reaches the edge."""
    grow_rounds: Count = 6
    """Enough to grow from a patch to a panel of a thousand pixels."""
    correlation_side: Annotated[int, Ge(3)] = 7
    """Of the window of the local correlation. On 60 clones with a known map the outline's F1 was
    0.82 with 5, 0.81 with 7 and 0.77 with 9; the smaller the window, the more agrees by chance."""
    weak_correlation: Correlation = 0.65
    """Pixels that agree this much belong to a region if they are connected to better ones."""
    strong_correlation: Correlation = 0.82
    """At which a region may start."""
    min_fit_area: Count = 64
    """Smaller regions do not decide an affine map better than the patch did."""
    fit_steps: Count = 15
    fit_reach: Positive = 6.0
    """A fit that moves a corner further than this has lost the region."""
    outline_spread: Positive = 2.5
    """The outline lies where the residual exceeds so many of its standard deviations inside."""
    outline_floor: Positive = 0.5
    """Least standard deviation of the residual, in grey levels: rounding alone makes 0.3."""

    # Judgement
    min_area: Count = 48
    """Smaller regions hold too few independent pixels to tell a copy from chance."""
    threshold: Share = 0.7
    """Score at which an image is flagged: at most 2 % of the authentic images of the fit,
    out of fold (`python -m bench.judge` prints the table)."""
    member_threshold: Share = 0.6
    """Probability at which a further pair of a flagged image is held to be a copy too."""

    # Grouping
    same_region: Share = 0.5
    """Two masks that share more of the smaller than this are one region."""
    whole_panel: Share = 0.6
    """A region that fills more of a panel than this stands for the panel."""
