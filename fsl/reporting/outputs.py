"""One output of a notebook's cell → safe HTML. Knows neither its notebook nor its page."""

import base64
import binascii
from collections.abc import Mapping
from html import escape

from fsl.headlines import MIME
from fsl.reporting.failure import is_refusal, sentence, without_paths
from fsl.reporting.markup import clean, markdown, plain, visible

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def merged(outputs) -> list:
    """Streams that a cell wrote in pieces, in one piece."""
    merged: list = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and last.get("name") == output.name and "text" in last:
            merged[-1] = {**last, "text": last["text"] + output.text}
        else:
            merged.append(dict(output))
    return merged


def as_html(output: Mapping, picture: Mapping) -> str:
    """The richest safe form of one output."""
    if output["output_type"] == "stream":
        return _text(plain(output["text"]), output["name"])
    if output["output_type"] == "error":
        return _error(output)
    data = {
        kind: "".join(v) if isinstance(v, list) else v for kind, v in output.get("data", {}).items()
    }
    for kind in PICTURES:
        address = data_uri(kind, data[kind]) if kind in data else None
        if address:
            return _figure(address, picture)
    if MIME in data:
        return f'<p class="result">{escape(visible(data.get("text/plain", "")))}</p>'
    if "text/html" in data:
        return clean(data["text/html"])
    if "text/markdown" in data or "text/latex" in data:
        return (
            f'<div class="prose">{markdown(data.get("text/markdown") or data["text/latex"])}</div>'
        )
    text = plain(str(data.get("text/plain", "")))
    return _text(text) if text else ""


def _text(text: str, kind: str = "") -> str:
    shown = escape(without_paths(text))
    return f'<pre class="output {escape(kind)}" tabindex="0">{shown}</pre>'


def _error(output: Mapping) -> str:
    """The sentence, then the traceback; folded where the notebook itself refused its input."""
    error = {"name": str(output["ename"]), "message": plain(str(output["evalue"]))}
    says = f'<p class="why">{escape(without_paths(visible(sentence(error))))}</p>'
    trace = plain("\n".join(output["traceback"]))
    if not trace:
        return says
    if is_refusal(error):
        return f"{says}<details><summary>Traceback</summary>{_text(trace, 'error')}</details>"
    return says + _text(trace, "error")


def _figure(address: str, picture: Mapping) -> str:
    words = [picture["caption"], "Simulated data." if picture["simulated"] else ""]
    caption = " ".join(escape(visible(word)) for word in words if word)
    foot = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img src="{address}" alt="{escape(visible(picture["alt"]))}">{foot}</figure>'


def data_uri(kind: str, content: object) -> str | None:
    """A picture as a data URI; None when its content is no base64."""
    if kind not in PICTURES or not isinstance(content, str):
        return None
    try:
        raw = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"
