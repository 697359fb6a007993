"""`ast.parse` that garbage collection does not disturb, where Python itself does not see to that."""

import ast
import gc
import sys
from functools import wraps
from typing import Any

# CPython gh-106905: a parse inside a parse ends in "SystemError: AST constructor recursion depth mismatch". Garbage
# that is collected during one and complains starts another: the complaint's traceback parses the lines it marks.
# pytest parses to rewrite assertions and to show a failing test, so the error would hide the failure.
IS_DISTURBED = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)


def parse_undisturbed() -> None:
    """Let every parse of this process finish before garbage is collected; does nothing to a Python that is mended."""
    parse = ast.parse

    @wraps(parse)
    def undisturbed(*arguments: Any, **options: Any) -> Any:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return parse(*arguments, **options)
        finally:
            if was_enabled:
                gc.enable()

    if IS_DISTURBED:
        ast.parse = undisturbed
