"""What a person typed, understood or not: commands, numbers in any digits, likes. Both languages at any time."""

import re
import unicodedata

LONGEST = 200
COMMANDS: dict[str, tuple[str, ...]] = {
    "back": ("back", "undo", "b", "返回", "上一步", "撤销", "后退"),
    "help": ("help", "h", "?", "帮助", "帮忙"),
    "why": ("why", "why?", "为什么", "为什么?"),
    "show": ("show", "enough", "推荐", "看结果", "够了"),
    "more": ("more", "next", "ask", "更多", "继续", "再问"),
    "done": ("done", "quit", "exit", "bye", "q", "thanks", "完成", "好了", "退出", "再见", "谢谢"),
    "skip": ("skip", "pass", "idk", "don't know", "dont know", "no idea", "不知道", "跳过", "没用过", "不清楚"),
}  # fmt: skip
_COMMAND = {word: name for name, words in COMMANDS.items() for word in words}
# A longer word first: "dislike" has "like" inside.
_REACTIONS = (
    (0, ("don't like", "dont like", "do not like", "dislike", "hate", "不喜欢", "讨厌", "不要")),
    (1, ("so-so", "so so", "okay", "ok", "还行", "一般")),
    (2, ("like", "love", "喜欢", "爱")),
)  # fmt: skip
_CHINESE = {c: str(n) for n, c in enumerate("零一二三四五六七八九十")} | {"两": "2", "〇": "0"}
_ENGLISH = {
    word: str(n + 1)
    for n, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
}
_NUMBER = r"[+-]?\d{1,9}(?:[.,]\d{1,9})?"
_UNIT = r"(?:分|星|points?|stars?|/ ?10)?"


def plain(line: str) -> str:
    """One form of the same words: no odd blanks, no capitals, ASCII digits for those of any script."""
    text = unicodedata.normalize("NFKC", line).replace("’", "'")
    text = "".join(_digit(c) for c in text if c.isprintable() or c.isspace())
    return " ".join(text.split()).casefold().rstrip(".!。")


def _digit(c: str) -> str:
    value = unicodedata.decimal(c, None)
    return c if value is None else str(value)


def command(text: str) -> str | None:
    """The command that the whole line is, else None."""
    return _COMMAND.get(text)


def _counted(text: str) -> str:
    """Number words, standing alone, as digits: 八 and eight are 8."""
    words = "".join(_CHINESE)
    text = re.sub(f"(?<![{words}])[{words}](?![{words}])", lambda m: _CHINESE[m[0]], text)
    return re.sub("[a-z]+", lambda m: _ENGLISH.get(m[0], m[0]), text)


def number(text: str) -> float | None:
    """The number that the whole line is (with or without a word for points), else None."""
    found = re.fullmatch(rf"({_NUMBER}) ?{_UNIT}", _counted(text).strip())
    return None if found is None else float(found[1].replace(",", "."))


def reaction(text: str) -> tuple[float, str, float] | None:
    """(number in the list, "points" or "like", value): "1 8" gives points, "like 2" a 2, "dislike 2" a 0; else None."""
    for value, words in _REACTIONS:
        for word in words:
            if word in text:
                place = number(text.replace(word, " ", 1).strip(" ,:#"))
                return None if place is None else (place, "like", float(value))
    found = re.fullmatch(rf"#?(\d{{1,9}})[ ,:]+({_NUMBER}) ?{_UNIT}", _counted(text))
    return None if found is None else (float(found[1]), "points", float(found[2].replace(",", ".")))
