"""Train a student network on what a teacher network finds."""
