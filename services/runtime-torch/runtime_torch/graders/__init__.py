"""What an answer is worth: the graders of GRPO."""
