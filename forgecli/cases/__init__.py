"""A case on disk: discover, read safely, pair with masks."""
