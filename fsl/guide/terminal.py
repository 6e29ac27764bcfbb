"""The guide in a terminal: reads lines, prints what is said. Ends politely at done, the end of input, and Ctrl-C."""

import sys
from collections.abc import Iterator
from typing import TextIO

from fsl.guide.conversation import Guide
from fsl.guide.state import OVER

LONGEST_READ = 10_000  # of a line; what follows is left unread
PROMPT = "> "


def converse(guide: Guide, source: TextIO, out: TextIO) -> int:
    """Talk until it is over. Returns 0, or 130 after Ctrl-C; what was learned so far is said in any case."""
    for stream in (source, out):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="replace"
            )  # bytes that are no text, letters the terminal has not
    turn = guide.start()
    try:
        print(turn.text, flush=True, file=out)
        for line in lines(source, out):
            turn = guide.hear(turn.state, line)
            print(turn.text, flush=True, file=out)
            if turn.state.phase == OVER:
                return 0
    except KeyboardInterrupt:
        print(f"\n{guide.farewell(turn.state)}", flush=True, file=out)
        return 130
    print(f"\n{guide.farewell(turn.state)}", flush=True, file=out)
    return 0


def lines(source: TextIO, out: TextIO) -> Iterator[str]:
    """Lines without their ends, as long as there are some; a prompt before each."""
    while True:
        print(PROMPT, end="", flush=True, file=out)
        line = source.readline(LONGEST_READ)
        if not line:
            return
        rest = line
        while rest and not rest.endswith("\n"):
            rest = source.readline(LONGEST_READ)
        yield line.rstrip("\r\n")


def talk(guide: Guide) -> int:
    """`converse` with the person at this terminal."""
    return converse(guide, sys.stdin, sys.stdout)
