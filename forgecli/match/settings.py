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
    """Grey levels that a gutter's pixels may differ from its own: JPEG leaves some."""
    dark_ripple: Annotated[float, Ge(0)] = 7.0
    """The same in a black gutter, which dark micrographs resemble."""
    min_gutter: Count = 3
    """Journals set panels closer than this only where they touch."""
    min_panel: Count = 32
    """Smaller pieces are labels and marks."""
    max_cuts: Count = 8
    """Figures nest rows in columns a few times; deeper cuts would split single images."""
    ground_levels: Count = 4
    """Grey levels looked at as gutters: white, black, and what else is flat over a large area."""
    least_ground: Share = 0.005
    """Of the figure, that is flat at such a level."""
    thinnest_ground: Share = 0.001
    """Of the figure: a level that less of it shows is no gutter's."""
    plain_share: Share = 0.995
    """Of a line in a gutter that has one grey level; a letter's serif may reach into it."""
    rippled_share: Share = 0.95
    """The same under JPEG, or where a label crosses the gutter."""
    written_share: Share = 0.75
    """Of a line beside a panel that holds letters only."""
    largest_margin: Share = 0.4
    """Of a block, that writing beside its panel may take."""
    edge_share: Share = 0.35
    """Of a gutter's length, along which panels begin within three lines. One panel of two or three
    that stand beside each other is enough; cells and bands that meet a gap reach less."""
    rippled_edge: Share = 0.5
    """The same where the gutter itself is less clear."""
    edge_sharpness: Share = 0.55
    """How far from the gutter's level the third line of a panel is, against the six first: a panel
    begins at once, bands and cells climb over several pixels."""
    coder_block: Count = 8
    """JPEG ripples this far from an edge."""
    strip_height: Count = 14
    """A blot's strip may be lower than `min_panel`, if it is long and full from edge to edge."""
    strip_length: Count = 90
    written_label: Share = 0.5
    """Of a small piece, that is drawn, from which it is a word and no panel."""
    full_rim: Share = 0.5
    """Of a panel's rim, that may be ground; the rim of a word is mostly ground."""
    seam_contrast: Positive = 16.0
    """Grey levels by which neighbours differ along a seam at least: the coder's own seams, at
    multiples of eight pixels, and steps of the lighting do not."""
    seam_quantile: Share = 0.8
    """Of all neighbours in the block, which differ less than those along a seam."""
    seam_surround: Count = 20
    """Lines on either side that a seam must stand out of."""
    seam_share: Share = 0.4
    """Of a seam's length, along which the two panels differ."""
    seam_excess: Share = 0.25
    """By which that is more than in three of four lines around: a frame's other side is near."""
    seam_doubt: Positive = 1.5
    """The same, over the square root of the length in pixels: short lines agree by chance."""
    seam_length: Count = 64
    """Of a seam at least."""
    thin_frame: Count = 12
    """Between two seams there may be a frame or gutter of so many pixels."""
    seam_weakest: Share = 0.2
    """The same in every eighth of the length, one aside: contours are shorter."""
    frame_gaps: Share = 0.05
    """Of such a frame, that may have another level, on a blot: a row of bands has gaps."""
    inset_side: Count = 40
    """Smaller boxes mark something and show nothing."""
    inset_share: Share = 0.6
    """Of a panel's sides, at most: a larger box is the panel's own frame."""
    island_fill: Share = 0.9
    """Of its box, that a photograph on a drawing fills."""
    inset_continuity: Correlation = 0.5
    """Correlation of what lies inside and outside of a frame, above which it was drawn on one
    picture."""
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
    annotation_share: Share = 0.02
    """Larger flat areas are ground or clipped objects and not letters."""

    # Keypoints
    contrast_threshold: Annotated[float, Ge(0)] = 0.001
    """SIFT's, far under its default of 0.04: cells and bands are faint."""
    edge_threshold: Positive = 20.0
    """SIFT's, twice its default: membranes and band edges are worth keeping."""
    max_keypoints: Count = 6_000
    """The strongest, of an image of up to a megapixel; all against all costs the square of it. Of
    92 synthetic forgeries with a copy among the candidates, found with 12,000 and `upscale_below`
    at 700, one was lost with both as they are here; the time of keypoints and matching fell to a
    quarter. Of 61 others none was lost with 4,500 and one with 3,000, but copies at half the size
    in small images are: their keypoints are the weakest."""
    upscale_below: Count = 400
    """Images with a shorter long side are enlarged, since copied objects in them are small."""
    max_upscale: Count = 2
    """SIFT doubles the image once more by itself."""
    halve_above: Count = 1000
    """Images with a longer long side are reduced by two before SIFT doubles them: the dense field
    has what is smaller. Of the 92 forgeries none was lost by it, two with 700, and without any
    keypoints four; of the 61, two with 500, for which the search takes 16 % less time."""

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
    wide_min_scale: Positive = 0.45
    """Panels are shown again at half the size. Maps scaled beyond the two above count only where
    several agree. With keypoints, of 28 copies scaled by 0.5, 0.56, 1.8 or 2, 25 were then among
    the candidates, 14 without."""
    wide_max_scale: Positive = 2.2
    wide_support: Count = 4
    """Places within `cluster_radius` that agree with such a map at least, its own included."""
    wide_looseness: Positive = 8.0
    """Pixels by which those of keypoints may differ before refinement: their scales are that
    rough."""
    max_anisotropy: Annotated[float, Ge(1)] = 1.35
    """Largest over smallest stretch of a map: people rotate, mirror and scale, but do not shear."""

    # Dense field
    dense_every_pixel: Annotated[int, Ge(0)] = 65_000
    """Pixels up to which every pixel of an image has a disc; in larger ones every second both ways,
    which takes a quarter of the time."""
    dense_radius: Count = 8
    """Of a disc: as wide as the patch a match is refined on. Of 40 synthetic forgeries 80 % had a
    true match with 8, 75 % with 6."""
    dense_lift: float = 0.5
    """Moments of order n weigh n to this power: the lowest hold most contrast and tell least.
    On the same forgeries 80 % with 0.5, 75 % with 0, 78 % with 1."""
    dense_contrast: Annotated[float, Ge(0)] = 1.0
    """Grey levels by which a disc varies at least."""
    dense_orders: Count = 3
    """Orders in which the discs are sorted to seed the field. Eight take twice the time and found
    no more."""
    dense_beside: Count = 10
    """Discs before and after each in an order that it is compared with."""
    dense_similarity: Share = 0.85
    """Of two discs that count as alike."""
    dense_reach: Count = 4
    """Grid points to each side whose matches are compared with a point's own."""
    dense_tolerance: Positive = 1.5
    """Grid points that a neighbour's match may lie off."""
    dense_agreeing: Count = 10
    """Of the 81 points around and at a point, how many agree with its map at least."""
    dense_error: Positive = 1.0
    """Root mean square error of the local affine fit, in grid points, above which it is dropped."""
    dense_cell: Count = 4
    """Side in grid points of the squares of which each gives one match."""
    dense_matches: Count = 1500
    """At most. They cost as much to refine and rank as so many matches of keypoints."""

    # Dense field between an image and its reduced self
    scaled_ratios: Annotated[int, Interval(ge=0, le=2)] = 2
    """How many of the ratios 2 and 1.41 an image is reduced by, and then compared with itself. Of
    42 copies scaled by 0.5 to 2 in images of 512 px, 40 were among the candidates with both and 36
    with none: of those by 0.5, six of seven and two."""
    scaled_apart: Positive = 16.0
    """Pixels between a reduced disc's middle and those that it is compared with: an edge looks like
    itself at any scale."""
    scaled_orders: Count = 2
    """As `dense_orders`. On 28 scaled copies three found as much and took a quarter longer, one
    took a quarter less and found as much or a little less."""
    scaled_matches: Count = 300
    """At most, of each ratio, before refinement."""
    keypoints: bool = False
    """Whether keypoints are matched beside the dense fields. Of 70 synthetic forgeries 52 had a
    copy among the candidates with them and 51 without (two fewer, one more), and the search took
    2.87 and 1.95 CPU seconds a megapixel. Rates of false positives are measured without. They help
    with pieces of under 1,000 px and with noise on blank ground."""

    # Refinement
    patch_radius: Count = 8
    """17 x 17 pixels: smaller patches leave the six numbers of a map undecided, larger ones reach
    beyond small objects."""
    refine_steps: Count = 8
    """At most; a match that moves less than 0.03 px stops earlier."""
    min_patch_correlation: Correlation = 0.7
    """In the low band after refinement. Copies measured 0.8 and more except under strong JPEG."""

    half_alike: Correlation = 0.2
    """In the low band, of a match that is compared in the middle band too."""
    fine_promising: Correlation = 0.3
    """In the middle band after two steps, under which a match is given up."""
    min_fine_correlation: Correlation = 0.6
    """In the middle band after refinement: texture agrees by chance far less than shapes do. A
    twentieth more matches are kept with it."""

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
    max_candidates: Count = 30
    """Maps grown per image, best first. Of 236 copied groups of 181 synthetic forgeries that 40
    maps found, 235 were among the first 30, 234 among 25 and 231 among 20."""
    place: Positive = 6.0
    """Matches that start in one square of this side and end in one are ranked once."""
    max_attempts: Count = 120
    """Maps tried per image; those that grow nothing, or over what is no evidence, cost little and
    take no candidate's place."""
    max_repeats: Count = 6
    """Regions grown over both ends of a match from which on it is held to be texture that repeats.
    Four copies of one object lie under three regions each."""
    candidate_separation: Positive = 3.0
    """Two matches whose maps differ less than this where both hold are the same candidate."""
    usable_share: Share = 0.5
    """Share of a region that must not be drawn, empty or gutter."""
    patch_share: Share = 0.9
    """Share of the patch at either end of a match, and of a disc of the dense field, that must lie
    inside a panel: at its edge a little over half does. In figures of several panels, edges took
    half of the places otherwise, and regions grown from them were no evidence. With 0.75 fewer of
    them were freed; no copy was lost with either."""

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
    outline_gap: Share = 0.15
    """Width of gaps that may be filled, to the square root of a region's area."""
    outline_small: Count = 4000
    """Area of a region whose outline is drawn tighter: up to some 60 x 60 px, three pixels all
    around, which the correlation's window adds, are a tenth of it and more."""
    outline_doubt: Positive = 3.0
    """Residual around a small region to the limit inside, under which the two are held to differ
    too little to show where it ends. On true matches of 58 groups of synthetic copies, 88 % of the
    regions lay inside the truth by 70 % with it, 83 % without."""
    outline_texture: Correlation = 0.7
    """In the middle band, of the best quarter of such a region, from which the edge is drawn where
    texture stops to agree. Of 100 synthetic forgeries, 4 were lost with it because all regions over
    their copies lay outside them by 30 % or more, 7 without."""
    edge_odds: float = 0.5
    """Log-odds from which a pixel belongs to a region whose pair is held to be a copy. Of 135
    synthetic forgeries flagged at 1 % out of fold, the metric was 0.729 with the first outlines,
    0.747 with the trees' at 0.5 (0.741 at 0, 0.746 at 1), 0.752 with `edge_most` as well."""
    edge_blur: Positive = 2.0
    """Standard deviation in pixels over which these are averaged: outlines have no frills. 1 and 3
    made no difference."""
    edge_least: Share = 0.3
    """Of a region's area, that must be left of it; else its outline stays as it was."""
    edge_most: Positive = 2.0
    """Times a region's area, above which its outline stays as it was: it would run out over ground
    that shows nothing. The metric of those forgeries was 0.749 with 1.5, 0.752 with 2, 0.747
    without."""
    early_share: Share = 0.35
    """Usable share of a region after its first round under which it is given up; under
    `usable_share`, since it may still grow."""
    grow_still: Positive = 0.1
    """Pixels that a fit moves a corner under which a region that fills no window is done."""
    edge_crumbs: Share = 0.04
    """Pieces smaller than this share of a region's largest are left out: beside a copied band they
    were corners of its neighbours."""

    # Judgement
    min_area: Count = 48
    """Smaller regions hold too few independent pixels to tell a copy from chance."""
    false_positive_rate: Share = 0.01
    """Share of authentic images that may be flagged: chooses the threshold by kind of image, from
    those measured with the judge (`python -m bench.judge` prints them). One in a hundred is what
    a person can look through; a submission gains by it too."""
    threshold: Share | None = None
    """Score at which an image is flagged, whatever its kind; None: by `false_positive_rate`."""
    member_threshold: Share = 0.6
    """Probability at which a further pair of a flagged image is held to be a copy too, if it shares
    a region with one that is. With 0.5 the metric of flagged synthetic forgeries was 0.004 lower,
    with 0.7 0.001."""
    group_threshold: Share = 0.8
    """The same for a pair that begins a group of its own: an instance too many costs as much as one
    missed. Of 115 synthetic forgeries that are flagged at 1 % out of fold, the metric was 0.754
    with 0.8 (144 of 172 groups, no false instance), 0.739 with 0.6 (147 and 11), 0.748 with 0.85
    (142 and none)."""

    # Blots
    max_bands: Count = 200
    """Of a figure, the most conspicuous; all are compared with all."""
    band_pixels: Count = 500_000
    """Larger panels are reduced to so many pixels before bands are sought: bands are large."""
    ground_share: Share = 0.6
    """Of the panel's height, the length of the line that bridges a band from ground to ground:
    strips are cut close to their bands."""
    ground_length: Count = 75
    """At most, in reduced pixels; a longer line takes uneven ground for bands."""
    ground_margin: Share = 0.4
    """Of the panel's height, that the ground around a panel is looked at too."""
    band_faintest: Share = 0.04
    """Of the strongest band's contrast: fainter ones are not looked for."""
    band_contrast: Positive = 4.0
    """Grey levels between a band and its ground at least: less cannot be compared."""
    band_noise: Positive = 6.0
    """The same, in standard deviations of the ground's ripple."""
    band_aspect: Positive = 0.7
    """Width over height: bands are wide, but touching ones and cut ones may be square."""
    band_width: Share = 0.6
    """Of the panel, at most: wider things are dye fronts, edges and shadows."""
    band_solid: Share = 0.55
    """Share of its box that a band fills, at half its peak; smiles fill little, letters less."""
    least_spread: Positive = 3.0
    """Standard deviation of a band's mass along its lane's width, in reduced pixels: smaller ones
    are as often dots of a label."""
    band_scale: Annotated[float, Ge(1)] = 1.22
    """Bands are pasted where others were, so they are hardly scaled."""
    band_rivals: Count = 6
    """Others that a band is compared with in full, the most alike in coarse shape."""
    band_pairs: Count = 120
    """Pairs of a figure that are laid onto each other, the most alike in coarse shape first. Of 60
    forgeries with a copied band, 37 had a right pair among the first 60 and 44 among 120."""
    band_fits: Count = 44
    """Of those, the pairs whose map is fitted: it is what costs time."""
    band_margin: Annotated[float, Ge(1)] = 1.5
    """Size of the box in which a pair is aligned, in sizes of the band."""
    band_similarity: float = -5.0
    """Log-odds from which a region is grown from a pair of bands for the judge of candidates. Low:
    the region tells more than the pair. Of 80 forged blots, 26 had a region on the copy among the
    first 12 with -1.2, and 36 without a bound."""
    max_band_copies: Count = 16
    """Regions of a figure that are grown from bands, the most similar pairs first; each takes 5 ms.
    Out of fold 0.40 of the forged blots were flagged at 1 % with 12, 0.41 with 16, 0.43 with 20,
    and 0.315 while the maps of bands were grown as those of texture are."""
    company_disagreement: Share = 0.05
    """1 less the correlation, of a band that was copied together with another. On true maps of 44
    forgeries, bands that were copied too mostly had 0.05 and less, others all over 0.06 and mostly
    over 0.15."""
    company_least: Correlation = 0.9
    """Correlation of such a band at least, where the pair itself agrees badly."""
    company_gain: Annotated[float, Ge(1)] = 1.4
    """Times the pair's gain or less, and its inverse or more: one piece has one gain."""
    band_rim: Annotated[float, Ge(0)] = 0.2
    """Of a band's height, that a copied band has of ground around it where nothing tells. Pixel F1
    of 21 bands that were copied once: 0.86 with 0.15, 0.835 with 0.25, 0.82 with 0.4, 0.80 with
    0.6, the last three while ground that agreed by 0.65 was taken too."""
    band_ground: Correlation = 0.88
    """Local correlation at which ground further away was copied too. The same F1 was 0.835 with
    0.65, 0.85 with 0.82, 0.856 with 0.92, and 0.828 without such ground; lanes have the less of
    their ground the higher it is (0.60, 0.55, 0.525, 0.37)."""
    lane_alike: float = -0.27
    """Log-odds, of the two bands alone, from which they count as one lane shown twice: 10 % of
    those images have such a pair, and several under one map are needed."""
    lane_tolerance: Share = 0.15
    """Of a band's width: how far a lane may stand from where the map of a whole blot says."""
    whole_lanes: Annotated[int, Ge(2)] = 3
    """Lanes that a panel must have to match as a whole: two lanes agree by chance."""

    # Copies shown as negatives
    inverted: bool = False
    """Whether copies with inverted contrast are looked for too. An image then takes about
    twice as long, and what agrees by chance has a second chance."""
    inverted_fields: Annotated[int, Ge(0)] = 2
    """Dense fields made, each of the picture with other blocks of it negative: of a copy one shows
    about half, two show three quarters. Of 46 inverted copies 31 were flagged with two, 28 with
    one, 25 with keypoints alone."""
    inverted_block: Count = 64
    """Side of these blocks in pixels: several discs wide, no larger than a small object's
    neighbourhood."""
    max_inverted: Count = 20
    """Maps grown per image, best first. With 30 no more of those copies were found."""

    # Grouping
    same_region: Share = 0.5
    """Two masks that share more of the smaller than this are one region, however small it is: in
    one place there is one content. Held apart by size, the metric fell."""
    whole_panel: Share = 0.6
    """A region that fills more of a panel than this stands for the panel."""
    ground_contrast: Positive = 0.35
    """Of a region's contrast, by which the panels around it differ where something else stands.
    Regions that reach over empty ground raised the metric of the 115 forgeries (see
    `group_threshold`) from 0.754 to 0.765; 0.2 or 0.5 here changed nothing."""
    ground_spread: Positive = 3.0
    """The same in standard deviations of the residual inside."""
    ground_inside: Share = 0.25
    """Pixels within the region's box that differ, to those of the region, above which the region
    stays as it is."""
    ground_beyond: Share = 0.005
    """The same for pixels that each side of the box may be moved over."""
    ground_least: Share = 0.02
    """Of what two panels have in common, that a region fills at least: a smaller one is an object,
    which may have been copied alone."""
