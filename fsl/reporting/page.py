"""An executed notebook → one safe HTML page, whole without a network. Knows no data, no folder."""

import base64
import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from pygments.formatters import HtmlFormatter

from fsl.headlines import MIME, rounded
from fsl.reporting import failure
from fsl.reporting.markup import code, markdown, visible
from fsl.reporting.outputs import as_html, data_uri, merged
from fsl.reporting.stamp import lines

TEMPLATES = Path(__file__).parent / "templates"
HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>", re.S)
LOOKS = (
    (".code", "default", ""),
    (".code", "github-dark", "@media screen and (prefers-color-scheme: dark)"),
)


def environment() -> Environment:
    """Templates with everything escaped that is not marked as safe."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    found.filters["visible"] = lambda value: visible(str(value))
    found.filters["sentence"] = failure.sentence
    found.filters["why_not_run"] = failure.why_not_run
    found.filters["commands"] = _with_commands
    found.tests["refusal"] = failure.is_refusal
    found.globals["rounded"] = rounded
    found.filters["duration"] = duration
    found.globals["style"] = Markup(
        (TEMPLATES / "style.css").read_text(encoding="utf-8") + _code_style()
    )
    return found


def _with_commands(text: str) -> Markup:
    """Text in which `this` is code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", escape(visible(text))))


def duration(seconds: float) -> str:
    """Minutes; below one, seconds."""
    return f"{seconds / 60:.1f} min" if seconds >= 59.5 else f"{seconds:.0f} s"


def _code_style() -> str:
    """Pygments' colours of tokens, nothing bold; paper and ink are the page's."""
    parts = []
    for selector, name, medium in LOOKS:
        rules = HtmlFormatter(style=name).get_token_style_defs(selector)
        kept = "\n".join(
            re.sub(r"(background-color|font-weight):[^;}]*;?", "", rule) for rule in rules
        )
        parts.append(f"{medium} {{\n{kept}\n}}" if medium else kept)
    return "\n".join(parts)


def render(notebook, entry: Mapping, with_code: bool = True) -> str:
    """The page. `entry` is the sidecar: title, data, parameters, headline, error, stamp."""
    cells = list(_cells(notebook, entry, with_code))
    cells, contents = _with_anchors(cells)
    numbered = any(
        re.match(r"\d+\. ", words) for _, words in contents
    )  # their own numbers are enough
    template = environment().get_template("page.html")
    return template.render(
        cells=cells, contents=contents, numbered=numbered, entry=entry, stamp=lines(entry),
        with_code=with_code,
    )  # fmt: skip


def headline_of(notebook) -> dict | None:
    """The last headline that a cell put out, its numbers checked."""
    found = [
        output.data[MIME] for _, output in _outputs(notebook) if MIME in output.get("data", {})
    ]
    if not found or not isinstance(found[-1], Mapping):
        return None
    numbers = {name: found[-1].get(name) for name in ("value", "low", "high")}
    proper = {
        name: n if isinstance(n, (int, float)) and abs(n) < float("inf") else None
        for name, n in numbers.items()
    }
    words = [str(paragraph) for paragraph in found[-1].get("words", ())]
    return {
        "message": str(found[-1].get("message", "")),
        "unit": str(found[-1].get("unit", "")),
        **proper,
        **({"words": words} if words else {}),
    }


def key_figure(notebook) -> bytes | None:
    """The picture of the cell tagged `key-figure`, else the notebook's first."""
    pictures = [
        (cell, output.data["image/png"])
        for cell, output in _outputs(notebook)
        if "image/png" in _data(output)
    ]
    key = [png for cell, png in pictures if "key-figure" in _tags(cell)]
    chosen = key[-1:] or [png for _, png in pictures[:1]]
    address = data_uri("image/png", chosen[0]) if chosen else None
    return base64.b64decode(address.partition(",")[2]) if address else None


def _outputs(notebook) -> Iterator[tuple]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield cell, output


def _data(output) -> Mapping:
    return output.get("data", {})


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _cells(notebook, entry: Mapping, with_code: bool) -> Iterator[dict]:
    """What the page shows, cell by cell; the title and the parameters' code are shown elsewhere."""
    injected = any("injected-parameters" in _tags(cell) for cell in notebook.cells)
    place, heading, titled = (
        ("injected-parameters" if injected else "parameters"),
        entry["title"],
        False,
    )
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = (
                cell.source if titled else re.sub(r"^#\s+.+$", "", cell.source, count=1, flags=re.M)
            )
            titled = True
            found = re.findall(r"^#+\s+(.+)$", text, re.M)
            heading = found[-1] if found else heading
            yield {"kind": "text", "html": markdown(text, _attachments(cell))}
        elif cell.cell_type == "code" and place in _tags(cell):
            yield {"kind": "parameters"}
        elif cell.cell_type == "code" and "parameters" not in _tags(cell):
            yield _code_cell(cell, heading, entry, with_code)


def _attachments(cell) -> dict[str, str]:
    """Pictures pasted into a markdown cell, by the address that its text uses."""
    found = {}
    for name, bundle in cell.get("attachments", {}).items():
        for kind, content in bundle.items():
            address = data_uri(kind, content)
            if address:
                found[f"attachment:{name}"] = address
    return found


def _code_cell(cell, heading: str, entry: Mapping, with_code: bool) -> dict:
    picture = {
        "alt": str(cell.metadata.get("alt") or f"Figure: {heading}"),
        "caption": str(cell.metadata.get("caption", "")),
        "simulated": entry["simulated"],
    }
    shown = [
        Markup(html)
        for html in map(lambda output: as_html(output, picture), merged(cell.outputs))
        if html
    ]
    source = Markup(code(cell.source)) if with_code and cell.source.strip() else None
    failed = any(output.output_type == "error" for output in cell.outputs)
    return {
        "kind": "code",
        "source": source,
        "outputs": shown,
        "count": cell.execution_count,
        "failed": failed,
    }


def _with_anchors(cells: list[dict]) -> tuple[list[dict], list[tuple[str, Markup]]]:
    """Cells with ids on their headings; and the second-level headings, for the table of contents."""
    contents: list[tuple[str, Markup]] = []
    used: set[str] = set()

    def anchored(match: re.Match) -> str:
        level, inner = max(int(match[1]), 2), re.sub(r"</?a\b[^>]*>", "", match[2])
        words = (
            re.sub(r"[^\w]+", "-", unescape(re.sub(r"<[^>]*>", "", inner)).lower()).strip("-")
            or "part"
        )
        name = words if words not in used else f"{words}-{len(used)}"
        used.add(name)
        if level == 2:
            contents.append((name, Markup(inner)))
        return f'<h{level} id="{escape(name)}">{match[2]}</h{level}>'

    for cell in cells:
        if cell["kind"] == "text":
            cell["html"] = Markup(HEADING.sub(anchored, cell["html"]))
    return cells, contents
