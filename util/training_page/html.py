"""The parts of a training's page that stay as they are."""

import json
from pathlib import Path

from dominate import tags
from dominate.svg import svg
from dominate.util import raw

from util.html import POLICY, head, only_script
from util.record import RunInfo
from util.training_page.guide import guide

ASSETS = Path(__file__).with_name("assets")
CODE = [ASSETS / f"training_{part}.js" for part in ("data", "plots", "pictures")]

REFRESH_S = 5  # of an open page, while the training runs


def page_html(title: str, run: RunInfo, winsize: int, session: int) -> str:
    """The page without its data: style, code, and what stays as it is."""
    style = (ASSETS / "training.css").read_text(encoding="utf-8").replace("WIDTH", str(winsize))
    code = "\n".join(file.read_text(encoding="utf-8") for file in CODE)
    # The one script in the page is known by its digest; data lie beside it, nothing is outside.
    policy = (
        f"{POLICY}; script-src {only_script(code)} 'self' file:; base-uri 'none'; "
        "form-action 'none'"
    )
    top = tags.head(raw(head(style, policy)), tags.title(title))
    body = tags.body(
        tags.header(tags.h1(title), tags.p(id="state")),
        tags.noscript("This page draws with a script; the losses are in loss_log.txt as well."),
        tags.main(_plots(run), _sample(), _legend(run), _facts(run), _pictures()),
        tags.script(raw(code)),
        data_session=str(session),
        data_groups=json.dumps(run.visual_groups),
        data_refresh_ms=str(round(1000 * REFRESH_S)),
    )
    parts = [top.render(pretty=False), body.render(pretty=False)]
    return '<!DOCTYPE html>\n<html lang="en">\n' + "\n".join(parts) + "\n</html>\n"


def _plots(run: RunInfo) -> tags.html_tag:
    controls = tags.div(
        tags.label(
            "smoothing ",
            tags.input_(id="smoothing", type="range", min=0, max=0.99, step=0.01, value=0.6),
            tags.output("0.60", id="smoothing-value"),
        ),
        tags.label(tags.input_(id="log", type="checkbox"), " logarithmic"),
        cls="controls",
    )
    pair = tags.div(_plot("lr", "learning rate"), _plot("pace", "images per second"), cls="pair")
    return tags.section(
        tags.h2("Losses"),
        controls,
        tags.div(id="legend"),
        _plot("losses", "losses"),
        _plot("metrics", "metrics", hidden=True),  # until there are any
        tags.p("Each point is the mean of an epoch.", id="means", cls="dim", hidden=True),
        tags.p(id="span", cls="dim"),
        pair,
        _guide(run),
    )


def _plot(name: str, label: str, hidden: bool = False) -> tags.html_tag:
    picture = svg(tabindex="0", role="img", aria_label=f"{label}, over the images seen")
    tip = tags.div(cls="tip", hidden=True)
    parts = [tags.figcaption(label), picture, tip]
    return tags.figure(*parts, cls="plot", id=f"plot-{name}", hidden=hidden)


def _guide(run: RunInfo) -> tags.html_tag:
    meanings, healthy = guide(run.losses, run.options.get("gan_mode", ""))
    return tags.details(
        tags.summary("What the curves mean, and what is healthy"),
        _definitions(meanings),
        tags.ul(tags.li(sentence) for sentence in healthy),
    )


def _definitions(rows: list[tuple[str, str]]) -> tags.html_tag:
    found = tags.dl()
    for name, meaning in rows:
        found.add(tags.dt(name), tags.dd(meaning))
    return found


def _sample() -> tags.html_tag:
    slider = tags.input_(id="at", type="range", min="0", max="0", value="0", aria_label="stage")
    return tags.section(
        tags.h2(id="sample-title"),
        tags.div(slider, tags.output(id="at-value"), cls="controls"),
        tags.div(id="sample", cls="pictures"),
        tags.div(id="strip"),
        id="sample-section",
        hidden=True,
    )


def _legend(run: RunInfo) -> tags.html_tag:
    """What the colours of label maps mean."""
    return tags.section(raw(run.legend), hidden=not run.legend)


def _facts(run: RunInfo) -> tags.html_tag:
    facts = tags.section()
    if run.differing:
        table = tags.table(tags.tr(tags.th(word) for word in ("option", "value", "default")))
        for row in run.differing:
            table.add(tags.tr(tags.td(str(cell)) for cell in row))
        count = len(run.differing)
        facts.add(tags.details(tags.summary(f"{count} options differ from the default"), table))
    if run.resume_command:
        shown = [tags.summary("Go on after a stop"), tags.pre(run.resume_command)]
        facts.add(tags.details(*shown))
    files = [("losses as text", "../loss_log.txt"), ("all options", "../train_opt.txt")]
    facts.add(tags.p([[tags.a(text, href=link), " "] for text, link in files], cls="dim"))
    return facts


def _pictures() -> tags.html_tag:
    more = tags.button("older", id="more", type="button", hidden=True)
    return tags.section(tags.h2("Pictures, newest first"), tags.div(id="rows"), more)
