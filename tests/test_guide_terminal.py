"""`fsl guide` at a pseudo-terminal: whatever is typed, it stays polite, keeps what it learned, no traceback."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from fsl.cli import main
from fsl.simulate import simulate_shop

PROMPT = b"\n> "


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("shop")
    shop, _ = simulate_shop(n_users=40, n_items=12, seed=0)
    shop.interactions.to_csv(where / "interactions.csv", index=False)
    shop.items.to_csv(where / "items.csv", index=False)
    return where


class Terminal:
    """A person at a pseudo-terminal with the guide."""

    def __init__(self, folder, *options: str):
        self.master, side = pty.openpty()
        command = [sys.executable, "-m", "fsl.cli", "guide", "--data", str(folder), *options]
        self.child = subprocess.Popen(
            command, stdin=side, stdout=side, stderr=side, start_new_session=True, preexec_fn=_own
        )
        os.close(side)
        self.said = b""

    def until(self, wanted: bytes, seconds: float = 240) -> str:
        """What is said up to `wanted`."""
        start, end = len(self.said), time.monotonic() + seconds
        while wanted not in self.said[start:]:
            if not self._read(end - time.monotonic()):
                break
        assert wanted in self.said[start:], self.said.decode(errors="replace")
        return self.said[start:].decode(errors="replace")

    def type(self, line: str | bytes, wanted: bytes = PROMPT) -> str:
        os.write(self.master, line if isinstance(line, bytes) else line.encode() + b"\n")
        return self.until(wanted)

    def ended(self, seconds: float = 240) -> tuple[int, str]:
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        return self.child.wait(timeout=seconds), self.said.decode(errors="replace")

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self.master, 65536)
        except OSError:  # the other side has closed
            return False
        self.said += part.replace(b"\r\n", b"\n")
        return bool(part)

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.master)


def _own() -> None:
    """This pseudo-terminal is the child's own, so that its Ctrl-C reaches it."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(folder):
    opened = []

    def open_(*options: str) -> Terminal:
        opened.append(Terminal(folder, *options))
        opened[-1].until(PROMPT)
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def test_a_difficult_customer(terminal):
    guide = terminal("--ask", "rate")
    assert "(simulated)" not in guide.said.decode()  # a folder's tables are nobody's simulation
    assert "did not understand" in guide.type("what is this?")
    assert "empty line" in guide.type("")
    assert "outside 1 to 5" in guide.type("77")
    assert "at most 200" in guide.type("x" * 3000)
    assert "did not understand" in guide.type(b"\xff\xfe\x1b[2J\n")
    assert "back: take the last answer back" in guide.type("help")
    assert "Thank you, noted" in guide.type("４")
    assert "Thank you, noted" in guide.type("二")
    assert "Taken back" in guide.type("back")
    assert "Thank you, noted" in guide.type("5")
    shown = guide.type("三", b"done to end.\n> ")
    assert "from 3 answers" in shown
    liked = guide.type("like 1")
    assert (
        "from 3 answers" in liked or "from 4 answers" in liked
    )  # of one it rated before, the like takes the place
    assert "no number 7" in guide.type("like 7")
    os.write(guide.master, b"done\n")
    code, said = guide.ended()
    assert code == 0
    assert "From 3 answers" in said
    assert "Traceback" not in said
    assert "Error" not in said


def test_ctrl_c_keeps_what_was_learned(terminal):
    guide = terminal("--ask", "rate")
    guide.type("5")
    os.write(guide.master, b"\x03")
    code, said = guide.ended()
    assert code == 130
    assert "From 1 answer, I would" in said
    assert "Traceback" not in said


def test_the_end_of_input_in_chinese(terminal):
    guide = terminal("--language", "zh")
    guide.type("跳过")
    os.write(guide.master, b"\x04")
    code, said = guide.ended()
    assert code == 0
    assert "谢谢光临" in said
    assert "Traceback" not in said


def test_the_same_seed_is_the_same_conversation_byte_for_byte(folder):
    command = [sys.executable, "-m", "fsl.cli", "guide", "--data", str(folder), "--seed", "3"]
    typed = b"2\nskip\n1\nlike 1\nmore\n1\nback\n" + b"x" * 30_000 + b"\n\xff\n3 5\n"
    runs = [
        subprocess.run(command, input=typed, capture_output=True, timeout=900) for _ in range(2)
    ]
    assert runs[0].returncode == 0, runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
    assert b"Traceback" not in runs[0].stdout + runs[0].stderr


def test_bad_options_are_one_sentence(folder, capsys):
    whole = "expected whole numbers, 0 or above, a seed below 4294967296."
    for option, said in (
        (["--language", "fr"], "--language 'fr': expected one of en, zh."),
        (["--questions", "-1"], f"--questions -1, --seed 0: {whole}"),
        (["--seed", "9" * 30], whole),
    ):
        assert main(["guide", "--data", str(folder), *option]) == 2
        words = capsys.readouterr().err
        assert said in words
        assert words.count("\n") == 1
