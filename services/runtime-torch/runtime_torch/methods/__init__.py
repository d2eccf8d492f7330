"""What a run minimises: one objective per method, with its loss as a pure function."""
