"""What tyro says of bad arguments, in our words."""

from __future__ import annotations

import re


def one_sentence(box: str) -> str:
    """What tyro's error box says, as one sentence."""
    lines = [line.strip(" │") for line in box.splitlines()]
    lines = [line for line in lines if line and line[0] not in "╭╰"]
    if len(lines) > 1 and set(lines[1]) == {"-"}:  # a title, where the box is plain ASCII
        lines = lines[2:]
    rules = (k for k, line in enumerate(lines) if set(line) <= set("─-"))
    end = next(rules, len(lines))
    text, rest = " ".join(lines[:end]).rstrip("."), " ".join(lines[end:])
    for pattern, words in (
        (r"^Error parsing (\S+): ", r"\1 "),
        (r"^Expected one of \{(.*)\}$", r"a command is missing: give one of \1"),
        (r"^Missing from (longlag [\w -]+): (\S+) .*", r"\1 is missing its \2"),
        (r"^Missing value for argument '(\S+)'.*", r"\1 is missing its value"),
        (r"^Unrecognized or misplaced options: (\S+) .*", r"\1 stands in the wrong place"),
        (r"^Unrecognized options: ", "unrecognized: "),
    ):
        text = re.sub(pattern, words, text)
    if hint := re.search(r"Perhaps you meant: (--\S+)", rest):
        text += f"; did you mean {hint[1]}?"
    elif known := re.search(r"Available subcommands: ([\w, -]*)", rest):
        text += f"; known commands are {known[1].strip()}"
    return text
