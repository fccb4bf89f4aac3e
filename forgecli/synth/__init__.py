"""Forgeries made from authentic images, with exact masks."""

from __future__ import annotations

from forgecli.synth.forgery import Forgery, generate, generate_authentic
from forgecli.synth.recipe import Recipe, load_recipe

__all__ = ["Forgery", "Recipe", "generate", "generate_authentic", "load_recipe"]
