"""Pictures of results: overlays."""
