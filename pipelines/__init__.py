"""Wiring: definitions, jobs, schedules, sensors, resources, and the command line."""
