"""Schedules that share hardware over time: which axis a tensor streams along, and what each op becomes."""
