"""Several processes: where each is, how they start and end, and what they deal out and add up."""
