"""forge: find and outline copied regions in scientific images."""

__version__ = "0.1.0"
