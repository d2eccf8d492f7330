"""What a run computes on, what memory it needs there, and the fastest way that fits."""
