"""Fit, gate and register: scikit-learn and LightGBM below, MLflow only in `registry`."""

from fairlead.training.train import HeadReport, TrainReport, train

__all__ = ["HeadReport", "TrainReport", "train"]
