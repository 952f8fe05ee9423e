"""What a table is, as far as it shows by itself: each guess with how sure it is, and why."""
