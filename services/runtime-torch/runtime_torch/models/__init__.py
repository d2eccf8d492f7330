"""The language model: transformers' modules on packed rows, its files, and the loss at its head."""
