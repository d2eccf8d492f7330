"""Prepared rows: how they are read, which of them a step takes, and how they lie in a micro-batch."""
