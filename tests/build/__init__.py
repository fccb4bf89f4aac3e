"""Tests of building."""
