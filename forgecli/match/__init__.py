"""The training-free detector: panels, keypoints, verification, grouping."""
