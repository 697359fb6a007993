"""What options and their values are called in another language."""

from collections.abc import Mapping, Sequence


def option_words_fault(
    options: Sequence[str], names: Mapping[str, str], values: Mapping[str, Mapping[str, str]]
) -> tuple[str, str] | None:
    """Where and what is wrong with words about options the product lacks, and with one word for two things."""
    for field, named in (("option_names", names), ("option_values", values)):
        unknown = next((name for name in named if name not in options), None)
        if unknown is not None:
            return f"/{field}/{unknown}", f"The product has no option '{unknown}'."
    called = [names.get(name, name) for name in options]
    if len(set(called)) != len(called):
        return "/option_names", "Two options would have the same name."
    for name, words in values.items():
        if len(set(words.values())) != len(words):
            return f"/option_values/{name}", f"Two values of '{name}' would be called the same."
    return None
