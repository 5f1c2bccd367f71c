"""Demos on real work, offline: a first look with the core install, and two classifiers on scikit-learn's digits."""

from crucible_nb.demos.first_look import Demo, demo

__all__ = ["Demo", "demo"]
