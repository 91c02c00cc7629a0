"""The project's own benchmarks: `python -m bench kernel`, `stages` and, for the golden vectors, `golden`."""
