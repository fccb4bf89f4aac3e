"""Every number of the match detector, in one place, with the reason for its default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """Settings of the match detector. Lengths are pixels of the input image."""

    # Layout
    gutter_ripple: float = 12.0
    """Range of grey levels along a gutter: JPEG leaves some."""
    min_gutter: int = 3
    min_panel: int = 32
    max_cuts: int = 8
    drawing_window: int = 15
    drawing_ripple: float = 4.0
    """Range of grey levels in 3 x 3 pixels of a drawing's ground, JPEG ripple included."""
    drawing_contrast: float = 80.0
    drawing_steepness: float = 0.6
    """Share of a drawn edge's height that is climbed within two pixels."""
    drawing_quiet: float = 0.4
    """Share of pixels around a drawing that equal their neighbours."""
    drawing_share: float = 0.35
    """A panel with more drawn pixels than this is a graph, table, diagram or text."""
    annotation_share: float = 0.02
    """Larger flat areas are ground or clipped objects and not letters."""

    # Keypoints
    contrast_threshold: float = 0.001
    """SIFT's, far under its default of 0.04: cells and bands are faint."""
    edge_threshold: float = 20.0
    """SIFT's, twice its default: membranes and band edges are worth keeping."""
    max_keypoints: int = 12_000
    """The strongest; all against all costs the square of it."""
    upscale_below: int = 700
    """Images with a shorter long side are enlarged, since copied objects in them are small."""
    max_upscale: int = 2

    # Proposals
    neighbours: int = 4
    """Nearest descriptors looked at, in original and in mirrored form; the last is the ratio's
    denominator (generalised 2-nearest-neighbour, Amerini et al., TIFS 2011)."""
    max_descriptor_distance: float = 0.75
    """Euclidean distance of RootSIFT vectors of unit length. Loose: every match is verified."""
    max_ratio: float = 0.95
    min_distance: float = 12.0
    """A point does not match one nearer than this: neighbours look alike."""
    min_scale: float = 0.6
    max_scale: float = 1.67
    max_anisotropy: float = 1.35
    """Largest over smallest stretch of a map: people rotate, mirror and scale, but do not shear."""

    # Refinement
    patch_radius: int = 8
    refine_steps: int = 8
    min_patch_correlation: float = 0.7
    """In the low band after refinement. Copies measured 0.8 and more except under strong JPEG."""

    # Candidates
    extent_radius: int = 24
    extent_correlation: float = 0.75
    cluster_radius: float = 32.0
    support_tolerance: float = 2.0
    min_cluster: int = 6
    max_candidates: int = 40
    """Maps grown per image, best first."""
    candidate_separation: float = 3.0
    """Two matches whose maps differ less than this where both hold are the same candidate."""

    # Growth
    grow_margin: int = 32
    grow_rounds: int = 6
    correlation_side: int = 7
    weak_correlation: float = 0.65
    strong_correlation: float = 0.82
    outline_spread: float = 2.5
    outline_floor: float = 0.5
    min_fit_area: int = 64
    fit_steps: int = 15
    fit_reach: float = 6.0
    """A fit that moves a corner further than this has lost the region."""

    # Judgement
    min_area: int = 48
    """Smaller regions hold too few independent pixels to tell a copy from chance."""
    threshold: float = 0.5
    """Score at which an image is flagged."""
    member_threshold: float = 0.35
    """Probability at which a further pair of a flagged image is held to be a copy too."""

    # Grouping
    same_region: float = 0.5
    """Two masks that share more of the smaller than this are one region."""
    whole_panel: float = 0.6
    """A region that fills more of a panel than this stands for the panel."""
