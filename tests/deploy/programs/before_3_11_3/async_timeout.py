"""What redis-py imports on Python before 3.11.3. Tests that run the machine's own Python on our environment, which was
made by a newer one, find it here; an environment made by that Python has the real package.
"""

from asyncio import timeout

__all__ = ["timeout"]
