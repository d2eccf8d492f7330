"""A run from its start to its result, and how it goes on exactly."""
