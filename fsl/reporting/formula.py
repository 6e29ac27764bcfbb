"""A formula in LaTeX → MathML, which browsers typeset. One that cannot be read is shown as written."""

import re
from html import escape, unescape
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import convert_to_element

TAGS = frozenset(
    re.findall(
        r"\w+",
        "math mrow mi mn mo mtext mspace msub msup msubsup munder mover munderover mfrac msqrt mroot "
        "mtable mtr mtd mpadded mphantom mstyle menclose",
    )
)
ATTRIBUTES = frozenset(
    re.findall(
        r"\w+",
        "display accent accentunder stretchy fence form separator lspace rspace minsize maxsize "
        "linethickness mathvariant columnalign rowspacing columnspacing width height depth "
        "displaystyle scriptlevel notation movablelimits symmetric",
    )
)
ALIASES = (
    ("{aligned}", "{align*}"),
    ("{gathered}", "{align*}"),
    ("{equation}", "{align*}"),
    ("{align}", "{align*}"),
    ("\\lVert", "\\|"),
    ("\\rVert", "\\|"),
)

# latex2mathml writes \overline as a dash, which does not stretch; the stylesheet draws `bar` as a line.
BARS = ("\u2015", "&#x02015;")


def mathml(tex: str, block: bool = False) -> str:
    """`tex` as a <math> element, or as <code> when latex2mathml does not understand it."""
    known = tex.strip()
    for alias, name in ALIASES:
        known = known.replace(alias, name)
    try:
        element = _checked(convert_to_element(known, display="block" if block else "inline"))
    except Exception:  # a third party's parser: whatever stops it, the reader gets the source
        element = None
    if element is None:
        return f'<code class="tex">{escape(tex.strip())}</code>'
    element.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    element.set("alttext", tex.strip())
    return tostring(element, encoding="unicode")


def _checked(element: Element) -> Element | None:
    """The tree with known tags and attributes only; None where a command was not understood."""
    text = unescape(element.text or "")
    if element.tag not in TAGS or re.match(r"\\\w|&$", text):
        return None
    attributes = {name: value for name, value in element.attrib.items() if name in ATTRIBUTES}
    copy, children = Element(element.tag, attributes), list(element)
    if element.tag == "mover" and children[1:] and children[1].text in BARS:
        copy, children = Element("mrow", {"class": "bar"}), children[:1]
    copy.text = text
    for child in children:
        checked = _checked(child)
        if checked is None:
            return None
        copy.append(checked)
    return copy
