"""The report page: self-contained, complete, safe against markup in texts, and honest about what did not finish."""

import re
from html.parser import HTMLParser

import pytest
import tiny_study

from weightpath.report import find_runs, write_report
from weightpath.studies.base import Check, Study
from weightpath.studies.running import run_config

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects text and attributes, and checks that elements nest."""

    def __init__(self, text):
        super().__init__()
        self.text, self.links, self.sources, self.ids, self.open = "", [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []
        self.ids += [attrs["id"]] if "id" in attrs else []
        assert tag != "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    odd = Check("<b>odd & named</b>", "Fig. <1>", lambda ds: float("nan"), 0.5, 0.1)
    study = Study(**{**vars(tiny_study.STUDY), "title": "Odd <i>title</i>", "checks": [odd]})
    run_config(tiny_study.STUDY, tiny_study.TinySettings(points=5), out=root / "first", progress=False)
    run_config(study, tiny_study.TinySettings(points=6), out=root / "second", progress=False)
    return root


def test_one_run(runs):
    text = write_report([runs / "first"], runs / "first" / "report.html").read_text()
    page = Page(text)
    for words in (
        tiny_study.STUDY.title, tiny_study.STUDY.claim, tiny_study.STUDY.paper, "value at the start", "1 ± 1e-12",
        "decay rate [1/s]", "3 of 3 requirements met", "finding", "float64", "jax",
    ):  # fmt: skip
        assert words in page.text, words
    assert page.links == ["results.nc", "summary.json", "config.toml"]
    assert len(page.sources) == 1


def test_the_page_needs_nothing_from_elsewhere(runs):
    text = write_report([runs / "first", runs / "second"], runs / "report.html").read_text()
    page = Page(text)
    assert all(source.startswith("data:image/") for source in page.sources) and len(page.sources) == 2
    assert not re.search(r"https?://", re.sub(r"data:image[^\"]*", "", text))
    assert "{{" not in text and "{%" not in text


def test_several_runs_have_a_table_of_contents_with_working_links(runs):
    page = Page(write_report([runs / "first", runs / "second"], runs / "report.html").read_text())
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert len(inside) == 2 and set(inside) == set(page.ids)
    files = [link for link in page.links if not link.startswith("#")]
    assert len(files) == 6 and all((runs / link).is_file() for link in files)


def test_texts_are_escaped_and_nan_is_shown_as_failed(runs):
    text = write_report([runs / "second"], runs / "second" / "report.html").read_text()
    page = Page(text)
    assert "<b>odd & named</b>" in page.text and "<b>" not in text and "<i>" not in text
    assert "nan" in page.text and "failed" in page.text and "0 of 1 requirements met" in page.text


def test_a_run_that_did_not_finish_is_named(runs):
    page = write_report([runs / "first"], runs / "report.html", failures={"second": "left the stable region"})
    assert "did not finish: left the stable region" in Page(page.read_text()).text


def test_only_failures_make_a_page_too(tmp_path):
    text = write_report([], tmp_path / "report.html", failures={"a": "x", "b": "y"}).read_text()
    assert "did not finish: x" in Page(text).text


def test_runs_are_found(runs, tmp_path):
    assert find_runs(runs / "first") == [runs / "first"]
    assert find_runs(runs) == [runs / "first", runs / "second"]
    with pytest.raises(ValueError, match="holds no finished run"):
        find_runs(tmp_path)
