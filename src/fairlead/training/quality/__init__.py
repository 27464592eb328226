"""Predicts quality: four learners that share across endpoints, their plain mean, contrasts shrunk by routing value."""

from fairlead.training.quality.ensemble import FittedQuality, fit_quality

__all__ = ["FittedQuality", "fit_quality"]
