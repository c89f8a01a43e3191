"""What the project claims about speed, as commands that print ratios measured in one run."""
