"""The page: nothing from a table or a notebook can act in it, nothing comes from elsewhere, and it can be read."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat.v4 as v4
import pandas as pd
import pytest

from fsl.headlines import MIME, Headline, headline, rounded
from fsl.reporting import index, page
from fsl.reporting.markup import clean, markdown

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "\"><a href='javascript:alert(1)'>x</a>",
    "<iframe src=https://evil.example></iframe>",
    "<math><mtext></p><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<a href=data:text/html,<script>alert(1)</script>>x</a>",
    "<div style='background:url(https://evil.example/x.png);position:fixed'>x</div>",
    "<details open ontoggle=alert(1)>x</details>",
    '$\\href{javascript:alert(1)}{x}$ ![$\\text{" onerror=alert(1) x="}$](x)',
    "<form action=https://evil.example><input autofocus onfocus=alert(1)></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href=//evil.example>",
]
LOADS = {
    "src",
    "srcset",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "xlink:href",
    "manifest",
}
FORBIDDEN = {
    "script",
    "iframe",
    "object",
    "embed",
    "form",
    "input",
    "svg",
    "link",
    "base",
    "foreignobject",
    "audio",
}


class Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


def assert_safe(html: str) -> Page:
    parsed = Page(html)
    for tag, attrs in parsed.tags:
        assert tag not in FORBIDDEN, tag
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in LOADS or (value or "").startswith("data:image/"), (tag, name, value)
            assert name != "href" or re.match(r"https?://|mailto:|#|[\w.%-]+(/|$|#)", value), value
            assert name != "style" or not re.search(r"url|position|expression", value), value
    styles = re.findall(r"<style>(.*?)</style>", html, re.S)
    assert len(styles) == 1
    assert not re.search(r"url\(|@import", styles[0])
    policies = [
        m["content"] for m in parsed.all("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert [m for m in parsed.all("meta") if m.get("http-equiv", "").lower() == "refresh"] == []
    return parsed


def an_entry(**changes) -> dict:
    stamp = {
        "commit": "abc",
        "changed": False,
        "python": "3",
        "platform": "Linux",
        "threads": 1,
        "seed": 0,
    }
    rows = [
        {
            "name": "data",
            "value": "shop",
            "default": "simulated",
            "changed": True,
            "note": "where from",
        },
        {"name": "seed", "value": 0, "default": 0, "changed": False, "note": "of generators"},
    ]
    entry = {
        "kind": index.KIND,
        "notebook": "05_x",
        "stem": "05_x--shop",
        "title": "Is it so?",
        "data": "shop",
    }
    entry |= {
        "simulated": False,
        "status": "ok",
        "size": "report",
        "run": "2025-01-02T03:04:05Z",
        "seconds": 90.0,
    }
    entry |= {
        "started": "2025-01-02T03:04:05Z",
        "headline": None,
        "error": None,
        "parameters": rows,
        "stamp": stamp,
    }
    return entry | changes


def output(**bundle) -> dict:
    return v4.new_output(
        "display_data", data={kind.replace("__", "/"): text for kind, text in bundle.items()}
    )


def cell(*outputs, source="1", **metadata):
    return v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def notebook(*cells):
    return v4.new_notebook(cells=[v4.new_markdown_cell("# Is it so?\n\nYes."), *cells])


def made(*cells, with_code=True, **changes) -> str:
    return page.render(notebook(*cells), an_entry(**changes), with_code)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_a_table_can_act(text):
    frame = pd.DataFrame({text: [text, "b"], "n": [1.0, 2.0]})
    number = headline(text, 1, 0, 2, text)
    stream = v4.new_output("stream", name="stdout", text=text)
    error = v4.new_output("error", ename=text, evalue=text, traceback=[text])
    cells = [
        v4.new_markdown_cell(
            f"## {text}\n\n- {text}\n\n{text}\n\n`{text}`\n\n```{text}\n{text}\n```\n\n|a|\n|--|\n|{text}|"
        ),
        cell(
            output(text__html=frame.to_html()),
            output(text__html=frame.style.to_html()),
            source=text,
        ),
        cell(
            output(text__html=text),
            output(text__markdown=text),
            output(text__plain=text),
            stream,
            error,
        ),
        cell(
            output(text__latex=f"${text}$"),
            output(text__latex=text),
            output(image__png=PNG),
            alt=text,
            caption=text,
        ),
        cell(v4.new_output("display_data", data=number._repr_mimebundle_())),
    ]
    row = {"name": text, "value": text, "default": 1, "changed": True, "note": text}
    failure = {"cell": 3, "name": text, "message": text, "traceback": text}
    entry = an_entry(title=text, data=text, parameters=[row], error=failure, status="failed")
    entry["headline"] = page.headline_of(notebook(*cells))
    entry["stamp"]["commit"] = text
    cells.append(v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}))
    parsed = assert_safe(page.render(notebook(*cells), entry))
    assert parsed.text.count(text) >= 8, "the name itself is still to be read"


def test_the_escaped_name_in_a_table_is_shown_as_it_is():
    html = made(cell(output(text__html=pd.DataFrame({"phone": [HOSTILE[0]]}).to_html())))
    assert HOSTILE[0] in assert_safe(html).text


def test_svg_and_scripts_are_left_out_and_the_text_form_stands_in():
    bundle = {
        "image/svg+xml": "<svg onload=alert(1)></svg>",
        "application/javascript": "alert(1)",
        "text/plain": "Figure",
    }
    html = made(cell(v4.new_output("display_data", data=bundle)))
    assert "Figure" in assert_safe(html).text
    assert "alert" not in html


def test_a_picture_that_is_no_base64_is_not_written():
    html = made(cell(output(image__png='"><script>alert(1)</script>', text__plain="Figure")))
    assert "Figure" in assert_safe(html).text


def test_control_characters_are_kept_visible_and_inert():
    html = made(cell(output(text__plain="a\x00b\x07c\ud800d\u0085e")))
    assert "a␀b␇c\ufffdd\ufffde" in Page(html).text
    html.encode("utf-8")


def test_colours_of_a_terminal_are_stripped_and_a_rewritten_line_stands_once():
    stream = v4.new_output(
        "stream", name="stderr", text="\x1b[31mred\x1b[0m\n 1%\r 50%\r100%\nend\n"
    )
    text = Page(made(cell(stream))).text
    assert "red\n100%\nend" in text
    assert "50%" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (r"so $\theta' = \theta - \alpha g$ is", "θ"),
        ("$$\n\\frac{a}{b}\n$$", "a"),
        ("\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", "c"),
        (r"- in a list $x_1 * y_2 * z$", "y"),
        (r"<details><summary>S</summary>" + "\n\n$k$\n\n</details>", "k"),
    ],
)
def test_formulas_become_mathml(source, shown):
    html = made(v4.new_markdown_cell(source))
    parsed = assert_safe(html)
    assert len(parsed.all("math")) == 1
    assert shown in parsed.text
    assert "$" not in parsed.text
    assert "<em>" not in html


@pytest.mark.parametrize(
    "source",
    [
        "a phone for $429 and another for $1,299",
        "from $429–$500, or $5",
        "about $429 or 500$ there",
        r"\$5 and \$6",
        "`$x$` is code",
        "```\ncost = '$x$'\n```",
    ],
)
def test_prices_and_code_are_not_formulas(source):
    parsed = Page(made(v4.new_markdown_cell(source)))
    assert parsed.all("math") == []
    assert "$" in parsed.text


def test_a_formula_that_cannot_be_read_is_shown_as_source():
    parsed = assert_safe(made(v4.new_markdown_cell(r"see $\unknown{x}$ and $\begin{foo} x$")))
    assert parsed.all("math") == []
    assert r"\unknown{x}" in parsed.text


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_formula_of_the_notebooks_can_be_read(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    told = [markdown("".join(c["source"])) for c in cells if c["cell_type"] == "markdown"]
    assert [html for html in told if '<code class="tex">' in html] == []


def test_a_solution_is_folded_and_its_markdown_and_code_are_rendered():
    source = "<details><summary>Solution</summary>\n\nUse **this**:\n\n```python\nx = 1\n```\n\n</details>"
    html = assert_safe(made(v4.new_markdown_cell(source)))
    names = [tag for tag, _ in html.tags]
    assert names.index("details") < names.index("summary") < names.index("strong")
    assert {"class": "code", "tabindex": "0"} in html.all("pre")


def test_numbers_stand_right_and_words_left():
    frame = pd.DataFrame(
        {"name": ["a", "b"], "rmse": [0.8, 1.2], "interval": ["0.7 to 0.9", "1.1 to 1.3"]}
    )
    html = made(cell(output(text__html=frame.to_html(index=False))))
    assert '<th class="num">rmse</th>' in html
    assert '<td class="num">1.1 to 1.3</td>' in html
    assert "<th>name</th>" in html


def test_a_value_and_its_interval_part_where_the_page_is_too_narrow_and_nowhere_else():
    values = ["+0.001 [-0.2, +0.4]", "+0.3 [+0.1, +0.5] *", "3"]
    frame = pd.DataFrame({"K = 1": values}, index=["minus EB", "minus kNN", "x"])
    html = made(cell(output(text__html=frame.to_html())))
    parts = '<span class="whole">+0.001</span> <span class="whole">[-0.2, +0.4]</span>'
    assert f'<td class="num parts">{parts}</td>' in html
    starred = '<span class="whole">+0.3</span> <span class="whole">[+0.1, +0.5] *</span>'
    assert f'<td class="num parts">{starred}</td>' in html, "a star stays with its interval"
    assert '<td class="num">3</td>' in html


def test_a_stylers_colours_stay_readable_and_its_other_styles_go():
    styled = (
        pd.DataFrame({"v": [1.0, 2.0]})
        .style.highlight_max(color="yellow")
        .set_properties(position="fixed")
    )
    html = made(cell(output(text__html=styled.to_html())))
    assert_safe(html)
    assert re.search(r"background-color: ?yellow; ?color: ?#111", html)


def test_pictures_have_words_and_simulated_ones_say_so():
    heading = v4.new_markdown_cell("## How large is the error?")
    html = made(
        heading,
        cell(output(image__png=PNG)),
        cell(output(image__png=PNG), alt="A line"),
        simulated=True,
    )
    pictures = assert_safe(html).all("img")
    assert [p["alt"] for p in pictures] == ["Figure: How large is the error?", "A line"]
    assert html.count("<figcaption>Simulated data.</figcaption>") == 2
    assert "simulated data" in html


def test_real_data_is_called_real_by_its_name():
    parsed = Page(made(data="phones-99"))
    assert {"class": "badge real"} in parsed.all("span")
    assert "phones-99" in parsed.text


def test_contents_lead_to_headings():
    cells = [v4.new_markdown_cell(f"## {name}") for name in ("One `x`", "Two $y$", "One `x`")]
    html = made(*cells)
    parsed = assert_safe(html)
    ids = [attrs["id"] for attrs in parsed.all("h2") if "id" in attrs]
    assert len(set(ids)) == 3
    assert [a["href"][1:] for a in parsed.all("a") if a["href"].startswith("#")] == ids
    assert len(parsed.all("h1")) == 1


@pytest.mark.parametrize(("first", "css"), [("1. One", ["numbered"]), ("One", [])])
def test_contents_are_not_numbered_twice(first, css):
    cells = [v4.new_markdown_cell(f"## {name}") for name in ("Before", first, "After")]
    lists = [attrs.get("class") for attrs in assert_safe(made(*cells)).all("ol")]
    assert [name for name in lists if name] == css


def test_code_is_a_switch_and_outputs_stay():
    one = cell(output(text__plain="forty-two"), source="secret_source = 42")
    assert "secret_source" in Page(made(one)).text
    parsed = Page(made(one, with_code=False))
    assert "secret_source" not in parsed.text
    assert "forty-two" in parsed.text


def test_parameters_are_a_table_and_not_code():
    own = v4.new_code_cell("seed = 0  # own", metadata={"tags": ["parameters"]})
    injected = v4.new_code_cell("seed = 7777", metadata={"tags": ["injected-parameters"]})
    parsed = Page(made(own, injected))
    assert parsed.text.count("Parameters of this run") == 1
    assert "where from" in parsed.text
    assert "notebook’s own: simulated" in parsed.text
    assert "7777" not in parsed.text


def test_the_words_of_a_headline_stand_at_the_top_of_the_page_alone(tmp_path):
    words = ["New users: use EB+.", HOSTILE[0]]
    number = headline("Lower by", -0.09, -0.11, -0.08, "stars", words=words)
    data = number._repr_mimebundle_()
    head = page.headline_of(notebook(cell(v4.new_output("display_data", data=data))))
    assert head["words"] == words
    shown = made(headline=head)
    top, rest = shown.split("</section>", 1)
    assert "New users: use EB+." in top
    assert "New users: use EB+." not in rest
    assert HOSTILE[0] not in shown, "words are text, never markup"
    put(tmp_path, headline=head)
    assert "New users: use EB+." not in index.build([tmp_path])
    without = headline("Lower by", -0.09, -0.11, -0.08, "stars")
    assert "words" not in without._repr_mimebundle_()[MIME]


def test_the_headline_is_the_last_one_and_bad_numbers_are_no_numbers():
    first, last = headline("A", 1, 0, 2, "stars"), Headline("B", float("nan"), 0.0, 2.0, "stars")
    outputs = [
        v4.new_output("display_data", data=head._repr_mimebundle_()) for head in (first, last)
    ]
    found = page.headline_of(notebook(cell(*outputs)))
    assert found == {"message": "B", "unit": "stars", "value": None, "low": 0.0, "high": 2.0}
    assert (
        page.headline_of(notebook(cell(v4.new_output("display_data", data={MIME: "no"})))) is None
    )


def test_the_key_figure_is_the_tagged_one():
    other = base64.b64encode(b"other").decode()
    plain, key = cell(output(image__png=other)), cell(output(image__png=PNG), tags=["key-figure"])
    assert page.key_figure(notebook(plain, key)) == base64.b64decode(PNG)
    assert page.key_figure(notebook(plain)) == b"other"
    assert page.key_figure(notebook()) is None


def test_links_between_notebooks_lead_to_the_index():
    html = made(
        v4.new_markdown_cell("[next](02_siamese.ipynb) [paper](https://arxiv.org/abs/1703.03400)")
    )
    links = assert_safe(html).all("a")
    assert [a["href"] for a in links[1:]] == [
        "index.html#02_siamese",
        "https://arxiv.org/abs/1703.03400",
    ]
    assert links[2]["rel"] == "noopener noreferrer"


def put(folder, **changes) -> None:
    entry = an_entry(**changes)
    (folder / f"{entry['stem']}.json").write_text(json.dumps(entry))
    if entry["status"] != "not run":
        (folder / f"{entry['stem']}.html").write_text("page")


def test_the_index_is_safe_and_says_what_is_what(tmp_path):
    head = {"message": HOSTILE[0], "value": 0.5, "low": 0.4, "high": 0.6, "unit": HOSTILE[1]}
    put(tmp_path, title=HOSTILE[3], headline=head, run="2025-02-01T00:00:00Z")
    put(
        tmp_path,
        stem="06_y--a b",
        notebook="06_y",
        simulated=True,
        data="simulated",
        title="Simulated one?",
    )
    failure = {"cell": 4, "name": "ValueError", "message": HOSTILE[0], "traceback": ""}
    put(
        tmp_path,
        stem="07_z",
        notebook="07_z",
        data=None,
        simulated=None,
        status="failed",
        error=failure,
    )
    put(
        tmp_path,
        stem="08_w--phones-99",
        status="not run",
        reason="phones-99 cannot be fetched.",
        title="Late?",
    )
    html = index.build([tmp_path])
    parsed = assert_safe(html)
    assert HOSTILE[3] in parsed.text
    assert "0.5" in parsed.text
    assert "95 % interval 0.40 to 0.60" in parsed.text
    assert "Failed in cell 4: ValueError: " + HOSTILE[0] in parsed.text
    assert "Not run: phones-99 cannot be fetched." in parsed.text
    assert "simulated data" in parsed.text
    assert "real data" in parsed.text
    assert parsed.text.index(HOSTILE[3], 200) < parsed.text.index("Simulated one?"), "newest on top"
    hrefs = {a["href"] for a in parsed.all("a")}
    assert {"05_x--shop.html", "06_y--a%20b.html", "07_z.html"} <= hrefs
    assert not any("08_w" in href for href in hrefs)


def test_the_index_takes_the_first_folder_first_and_leaves_foreign_files_out(tmp_path, capsys):
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    old.mkdir()
    put(new, title="New?")
    put(old, title="Old?")
    (old / "foreign.json").write_text("{}")
    (old / "broken.json").write_text("{")
    text = Page(index.build([new, old])).text
    assert "New?" in text
    assert "Old?" not in text
    assert "1 report" in text
    assert "broken.json cannot be read and is left out of the index" in capsys.readouterr().err


def test_an_empty_index_says_what_to_do(tmp_path):
    assert "Run fsl report" in Page(index.build([tmp_path])).text


def test_a_formula_in_an_alt_text_stays_text():
    source = f'![so $\\text{{" onerror=alert(1) x="}}$](data:image/png;base64,{PNG})'
    (picture,) = assert_safe(made(v4.new_markdown_cell(source))).all("img")
    assert picture["alt"] == 'so \\text{" onerror=alert(1) x="}'


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((-0.00215, -0.0442, 0.0358), ["−0.002", "−0.044", "+0.036"]),
        ((1234.5, 1200.0, 1260.0), ["1,234", "1,200", "1,260"]),
        ((0.79, None, None), ["0.79", "–", "–"]),
        ((-0.0001, -0.04, 0.04), ["0.000", "−0.040", "+0.040"]),
        ((0.0036, -4.27e-05, 0.00723), ["+0.00360", "−0.00004", "+0.00723"]),
        ((0.5, 0.0, 1.0), ["0.5", "0.0", "1.0"]),
        ((-0.19, float("nan"), 1.0), ["−0.19", "–", "1"]),
    ],
)
def test_a_headline_has_the_digits_its_interval_supports(numbers, shown):
    assert list(rounded(*numbers)) == shown


def test_a_headline_reads_the_same_in_its_cell_on_the_page_and_in_the_index(tmp_path):
    number = headline("Lower by", -0.0962, -0.1113, -0.0811, "stars")
    one = cell(v4.new_output("display_data", data=number._repr_mimebundle_()))
    assert str(number) == "Lower by −0.096 stars (95 % interval −0.111 to −0.081)"
    head = page.headline_of(notebook(one))
    put(tmp_path, headline=head)
    assert str(number) in Page(made(one, headline=head)).text
    for html in (made(one, headline=head), index.build([tmp_path])):
        assert "<strong>−0.096</strong>" in html
        assert "95 % interval −0.111 to −0.081" in html


def test_a_bar_over_several_signs_is_as_wide_as_they_are():
    html = made(v4.new_markdown_cell(r"$\overline{|p-r|}$"))
    assert '<mrow class="bar"><mrow><mo stretchy="false">|</mo><mi>p</mi>' in html
    assert "math .bar { border-top" in html
    assert "―" not in html


def test_the_index_gives_the_host_and_not_the_address_of_what_it_could_not_fetch(tmp_path):
    reason = "phones-99 cannot be fetched: https://raw.example.com/a/b%20c/d.csv cannot be reached."
    put(tmp_path, status="not run", stem="05_x--phones-99", data="phones-99", reason=reason)
    assert (
        "Not run: phones-99 cannot be fetched: raw.example.com cannot be reached. "
        "fsl data fetch phones-99 with a network, or set FSL_DATA."
    ) in Page(index.build([tmp_path])).text


def test_a_runs_last_notebook_is_on_top_and_a_row_is_counted_once(tmp_path):
    old, new = "2025-01-02T03:04:05Z", "2025-02-01T00:00:00Z"
    put(tmp_path, stem="09_z", notebook="09_z", title="Old?", run=old)
    put(tmp_path, stem="01_a", notebook="01_a", title="First?", run=new)
    put(tmp_path, stem="04_d--b", notebook="04_d", title="Last, b?", run=new)
    put(
        tmp_path,
        stem="04_d--a",
        notebook="04_d",
        title="Last, a?",
        run=new,
        status="not run",
        reason="no",
    )
    text = Page(index.build([tmp_path])).text
    places = [text.index(title) for title in ("Last, b?", "Last, a?", "First?", "Old?")]
    assert places == sorted(places)
    assert "3 reports, 1 not run" in text


@pytest.mark.parametrize(
    ("numbers", "message", "shown"),
    [
        ((0.02, 0.01, 0.03), "RMSE difference", "+0.020 stars (95 % interval +0.010 to +0.030)"),
        ((0.02, -0.01, 0.05), "Saves", "+0.020 stars (95 % interval −0.010 to +0.050)"),
        ((0.02, 0.01, 0.03), "Indifferences", "0.020 stars (95 % interval 0.010 to 0.030)"),
    ],
)
def test_a_difference_shows_its_sign_in_its_cell_and_on_the_page(numbers, message, shown):
    number = headline(message, *numbers, "stars")
    assert str(number) == f"{message} {shown}"
    head = {"message": message, "unit": "stars"}
    head |= dict(zip(("value", "low", "high"), numbers, strict=True))
    assert re.sub("[()]", "", shown) in Page(made(headline=head)).text


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_headline_of_no_number_fails_where_it_is_made(bad):
    with pytest.raises(
        ValueError, match=rf"^a headline wants finite numbers, not value {bad}, high {bad} \(A\)$"
    ):
        headline("A", bad, 0, bad, "stars")


@pytest.mark.parametrize(
    "address",
    [
        " //evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        " data:text/html,x",
        "java\nscript:x",
        "\t//evil.example",
        "/\n/evil.example",
        "&#32;javascript:x",
        "&#1;data:text/html,x",
    ],
)
def test_a_link_that_a_browser_reads_otherwise_leads_nowhere(address):
    assert "href" not in clean(f'<a href="{address}">x</a>')


def test_a_good_link_is_kept_without_the_blanks_around_it():
    assert 'href="https://a.example/b:c"' in clean('<a href=" https://a.example/b:c ">x</a>')


@pytest.mark.parametrize(
    "value",
    [
        "url(https://evil.example/x)",
        "URL (x)",
        "image-set('x' 1x)",
        "u\\72l(x)",
        "url(data:x;a,b)",
        "-webkit-image-set(x)",
        "u/**/rl(x)",
    ],
)
def test_a_style_that_could_load_is_dropped_and_the_rest_stays(value):
    html = clean(f'<span style="background-color:{value};color:rgb(1,2,3)">x</span>')
    assert html == '<span style="color:rgb(1, 2, 3)">x</span>'


def test_the_badge_hides_the_name_of_simulated_data_only():
    assert "simulated-x" in Page(made(data="simulated-x", simulated=False)).text
    named = Page(made(data="simulated", simulated=False))
    assert {"class": "badge data"} in named.all("span"), "by what it is, not by its name"
    assert {"class": "badge data"} not in Page(made(simulated=True)).all("span")
