"""The picture formats that are read: one module each, the header apart from the decoder."""
