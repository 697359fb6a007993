"""The fixtures of HTTP tests (`client`, `merchant`, `stranger`, …) are in tests/doors.py, open to every folder."""
