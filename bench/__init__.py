"""The project's own benchmarks, and what writes the golden vectors and the measured tables of README: see `python -m bench --help`."""
