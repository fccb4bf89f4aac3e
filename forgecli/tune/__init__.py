"""From logits and truth to the thresholds that score best, and how far to believe them."""
