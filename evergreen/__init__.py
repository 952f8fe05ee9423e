"""What the continual-learning loop means, without an orchestrator: importable in a notebook."""
