"""A pose model from an artifact folder. It lives with the library (`tinypose.inference.pose_model`)."""

from tinypose.inference.pose_model import PoseModel, default_model, network_input

__all__ = ["PoseModel", "default_model", "network_input"]
