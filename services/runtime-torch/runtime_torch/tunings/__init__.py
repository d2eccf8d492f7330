"""What of a model is trained, and as what it is kept."""
