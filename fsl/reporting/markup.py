"""What somebody else wrote (markdown, a table's HTML) as safe HTML. Knows no notebook."""

import re
import secrets
from collections.abc import Mapping
from html import escape

import mistune
import nh3
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, get_lexer_by_name
from pygments.util import ClassNotFound

from fsl.reporting.formula import mathml
from fsl.reporting.html_tables import inline_styles, tidy_tables

TAGS = frozenset(
    re.findall(
        r"\w+",
        "a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure "
        "h1 h2 h3 h4 h5 h6 hr i img kbd li mark ol p pre s samp small span strong sub summary sup "
        "table tbody td tfoot th thead tr u ul var",
    )
)
ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "details": {"open"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "span": {"style"},
    "td": {"colspan", "rowspan", "style"},
    "th": {"colspan", "rowspan", "scope", "style"},
}
SILENT = {
    "script",
    "style",
    "svg",
    "math",
    "iframe",
    "object",
    "template",
    "noscript",
    "title",
    "head",
}
STYLES = {"color", "background-color", "font-weight", "font-style", "text-align", "text-decoration"}
COLOURS = {"rgb", "rgba", "hsl", "hsla"}  # the only functions a style may call
DECLARATION = re.compile(r"\s*[a-zA-Z-]+\s*:[\w\s#%.,()/!+-]*")
FUNCTION = re.compile(r"([\w-]*)\s*\(")
LINK_SCHEMES = {"http", "https", "mailto"}
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
NO_PICTURE = re.compile(r"<img(?![^>]* src=)[^>]*>")
NOTEBOOK_LINK = re.compile(r"(?:\./)?([\w-]+)\.ipynb")
CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
INVISIBLE = (
    CONTROLS | {0x7F: 0x2421} | dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000)], 0xFFFD)
)
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")

INLINE_MATH = (
    r"\$\$(?P<shown>(?:\\[\s\S]|[^\\$])+?)\$\$"
    r"|\$(?!\d[\d.,]*\s+[A-Za-z]{2})(?P<math>(?![\s$])(?:\\[\s\S]|[^\\$`])+?(?<!\s))\$(?![\d\w])"
)
BLOCK_MATH = r"^ {0,3}\$\$(?P<block>(?:(?!\n[ \t]*\n)[\s\S])+?)\$\$[ \t]*$"
ENVIRONMENT = r"^ {0,3}(?P<tex>\\begin\{(?P<env>[a-z]+\*?)\}[\s\S]+?\\end\{(?P=env)\})[ \t]*$"


def visible(text: str) -> str:
    """Control characters and lone surrogates as signs that can be seen and do nothing."""
    return text.replace("\r\n", "\n").translate(INVISIBLE)


def plain(text: str) -> str:
    """A terminal's text: no colour codes, a line that was rewritten as it last stood."""
    lines = ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return visible("\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines))


def code(source: str, language: str = "python") -> str:
    """Source as highlighted HTML; an unknown language is shown plainly."""
    try:
        lexer = get_lexer_by_name(language) if language != "python" else PythonLexer()
    except ClassNotFound:
        return f"<pre><code>{escape(visible(source))}</code></pre>"
    body = highlight(visible(source), lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code" tabindex="0"><code>{body}</code></pre>'


def _attribute(tag: str, name: str, value: str) -> str | None:
    """An attribute as it may stand, or None: pictures lie in the page, links never lead to data."""
    if (tag, name) == ("img", "src"):
        return value if PICTURE.fullmatch(value) else None
    if (tag, name) == ("a", "href"):
        return _link(value.strip())
    return _style(value) if name == "style" else value


def _link(address: str) -> str | None:
    """As browsers read it: they skip blanks and line ends in front and inside, and turn \\ into /."""
    read = re.sub(r"[\s\x00-\x1f]", "", address).lower()
    scheme = re.match(r"([^/?#:]*):", read)
    if "\\" in read or read.startswith("//") or (scheme and scheme[1] not in LINK_SCHEMES):
        return None
    name = NOTEBOOK_LINK.fullmatch(address)
    return f"index.html#{name[1]}" if name else address


def _style(declarations: str) -> str | None:
    """Those of plain values and colours: nothing that could load, no escape that could hide it."""
    kept = [part for part in declarations.split(";") if DECLARATION.fullmatch(part)]
    kept = [part for part in kept if set(FUNCTION.findall(part.lower())) <= COLOURS]
    return ";".join(kept) or None


_CLEANER = nh3.Cleaner(
    tags=TAGS,
    attributes=ATTRIBUTES,
    clean_content_tags=SILENT,
    attribute_filter=_attribute,
    filter_style_properties=STYLES,
    url_schemes={"http", "https", "mailto", "data"},
)


def clean(html: str) -> str:
    """Foreign HTML with harmless tags, attributes and styles only; its tables made readable."""
    return tidy_tables(NO_PICTURE.sub("", _CLEANER.clean(inline_styles(visible(html)))))


class _Renderer(mistune.HTMLRenderer):
    """Keeps what we typeset ourselves (formulas, code) past the cleaner, under unguessable names."""

    def __init__(self, pictures: Mapping[str, str]):
        super().__init__(escape=False)
        self.pictures, self.kept, self.mark = pictures, [], f"kept{secrets.token_hex(8)}x"

    def keep(self, html: str, source: str) -> str:
        self.kept.append((html, source))
        return f"{self.mark}{len(self.kept) - 1}x"

    def block_code(self, code_text: str, info: str | None = None) -> str:
        language = (info or "text").split()[0]
        return f"<div>{self.keep(code(code_text.rstrip(), language), code_text)}</div>\n"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(text, self.pictures.get(url, url), title)

    def inline_math(self, tex: str) -> str:
        return self.keep(mathml(tex), tex)

    def block_math(self, tex: str) -> str:
        return f"<div>{self.keep(mathml(tex, block=True), tex)}</div>\n"

    def put_back(self, html: str) -> str:
        """Kept parts in their places; inside a tag (an alt text) only their source, quoted."""
        name = re.compile(rf"{self.mark}(\d+)x")
        tag_or_name = re.compile(rf"""<(?:"[^"]*"|[^">])*>|{name.pattern}""")

        def replace(match: re.Match) -> str:
            if match[0].startswith("<"):
                return name.sub(lambda inner: escape(self.kept[int(inner[1])][1]), match[0])
            return self.kept[int(match[1])][0]

        return tag_or_name.sub(replace, html)


def _inline(inline, match, state) -> int:
    shown = match.group("shown")
    kind, tex = ("inline_math", match.group("math")) if shown is None else ("block_math", shown)
    state.append_token({"type": kind, "raw": tex})
    return match.end()


def _block(block, match, state) -> int:
    groups = match.groupdict()
    state.append_token({"type": "block_math", "raw": groups.get("block") or groups["tex"]})
    return match.end() + 1


def _with_math(md: mistune.Markdown) -> None:
    """Pandoc's rule for dollars, no space inside and no digit behind, so that prices stay prices."""
    md.inline.register("inline_math", INLINE_MATH, _inline, before="link")
    md.block.register("block_math", BLOCK_MATH, _block, before="list")
    md.block.register("tex_environment", ENVIRONMENT, _block, before="list")


def markdown(text: str, pictures: Mapping[str, str] | None = None) -> str:
    """Markdown as safe HTML, formulas as MathML. `pictures`: images' addresses -> data URIs."""
    renderer = _Renderer(pictures or {})
    md = mistune.Markdown(renderer, plugins=[])
    for plugin in (
        mistune.plugins.table.table,
        mistune.plugins.formatting.strikethrough,
        _with_math,
    ):
        plugin(md)
    return renderer.put_back(clean(str(md(visible(text)))))
