"""HTML tables as notebooks print them → tables a person can read. Knows no pandas and no shop."""

import re
from html import escape, unescape

STYLE_BLOCK = re.compile(r"<style[^>]*>(.*?)</style>", re.S | re.I)
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
TABLE = re.compile(r"<table>.*?</table>", re.S)
ROW = re.compile(r"<tr>.*?</tr>", re.S)
CELL = re.compile(r"<(t[hd])([^>]*)>(.*?)</\1>", re.S)
NUMBER = re.compile(
    r"(?=.*[\d–—-])[-+−–—±\d.,:%\s()\[\]<>≤≥~×·…/kKM$€]*(?:e[-+]?\d+|to[-+−\d.,\s]+| \*)?"
    r"|nan|NaN|None|<NA>|-?inf"
)
INTERVAL = re.compile(r"([^\s<\[]+) (\[[^<\]]*\](?: \*)?)")


def inline_styles(html: str) -> str:
    """pandas' Styler writes rules for single cells by id: they move to those cells, to be filtered."""
    rules: dict[str, str] = {}
    for block in STYLE_BLOCK.findall(html):
        for selectors, declarations in RULE.findall(block):
            for name in re.findall(r"#(T_\w+)\s*(?:,|$)", selectors.strip()):
                rules[name] = rules.get(name, "") + _readable(declarations)
    if not rules:
        return html

    def styled(match: re.Match) -> str:
        style = rules.get(match[1])
        return f'{match[0]} style="{escape(style)}"' if style else match[0]

    return re.sub(r'\bid="(T_\w+)"', styled, html)


def _readable(declarations: str) -> str:
    """A cell with a background of its own gets a dark text, in dark mode too, unless it names one."""
    flat = " ".join(declarations.split())
    coloured = "background-color" in flat and not re.search(r"(?<!-)color", flat)
    return flat.rstrip("; ") + (";color:#111;" if coloured else ";")


def tidy_tables(html: str) -> str:
    """Clean HTML with every table in a box that scrolls and its columns of numbers marked."""
    return TABLE.sub(lambda table: _boxed(_mark_numbers(table[0])), html)


def _boxed(table: str) -> str:
    return f'<div class="table" tabindex="0" role="region" aria-label="Table">{table}</div>'


def _mark_numbers(table: str) -> str:
    """By columns; where cells span several of them, each cell by itself."""
    if re.search(r"(col|row)span", table):
        return CELL.sub(_mark_by_itself, table)
    body = [CELL.findall(row) for row in ROW.findall(table) if "<td" in row]
    width = max((len(cells) for cells in body), default=0)
    columns = [[cells[at] for cells in body if at < len(cells)] for at in range(width)]
    numeric = {at for at, column in enumerate(columns) if _is_numeric(column)}
    return ROW.sub(lambda row: _mark_row(row[0], numeric), table)


def _is_numeric(column: list[tuple[str, str, str]]) -> bool:
    """A column of values (not of row labels) in which everything that is written is a number."""
    texts = [_text(inner) for tag, _, inner in column if tag == "td"]
    return any(texts) and all(NUMBER.fullmatch(text) for text in texts if text)


def _mark_row(row: str, numeric: set[int]) -> str:
    at = iter(range(len(row)))
    return CELL.sub(lambda cell: _marked(cell) if next(at) in numeric else cell[0], row)


def _mark_by_itself(cell: re.Match) -> str:
    is_number = cell[1] == "td" and NUMBER.fullmatch(_text(cell[3]))
    return _marked(cell) if is_number else cell[0]


def _marked(cell: re.Match) -> str:
    """A number keeps to one line; a value with its interval may take two where the table is too wide for the page."""
    if not (parts := INTERVAL.fullmatch(cell[3])):
        return f'<{cell[1]} class="num"{cell[2]}>{cell[3]}</{cell[1]}>'
    value, interval = (f'<span class="whole">{part}</span>' for part in parts.groups())
    return f'<{cell[1]} class="num parts"{cell[2]}>{value} {interval}</{cell[1]}>'


def _text(inner: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", inner)).strip()
