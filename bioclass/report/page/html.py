"""From a template and values to one HTML file that asks nothing of any network.

Whatever comes from a user, a dataset or a run is text here: jinja2 escapes it, ``json_script`` escapes data, and
the page's own policy lets a browser run the scripts that this module put in, by their digests, and no other.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = "bioclass.report.page"


def render(
    template: str,
    values: Mapping[str, Any],
    *,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    package: str = HERE,
    connect: bool = False,
) -> str:
    """Return a page.

    A template extends ``base.html.jinja``, whose blocks are ``title``, ``navigation`` and ``content``. In it every
    value is escaped, and ``json_script(id, document)`` puts data where a script finds it.

    Args:
        template: the name of a file in the folder ``templates`` of the package, or of this one.
        values: what the template names.
        scripts: texts of scripts that go after the shared one, in this order.
        styles: texts of style sheets that go after the shared one.
        package: whose templates are looked through first.
        connect: whether the page's scripts may ask the server that the page came from.
    """
    texts = [package_text("script.js"), *scripts]
    given = {
        "scripts": [_inline(text, "script") for text in texts],
        "styles": [_inline(text, "style") for text in (package_text("style.css"), *styles)],
        "policy": policy(texts, connect),
    }
    return environment(package).get_template(template).render({**given, **values})


def package_text(name: str, package: str = HERE) -> str:
    """Return a file that comes with a package, as text."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


@cache
def environment(package: str) -> Environment:
    """Return where templates are found; they escape what they are given, and stop at a name that is unknown."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loaders = [PackageLoader(name) for name in dict.fromkeys((package, HERE))]
    found = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.globals["json_script"] = json_script
    return found


def json_script(name: str, document: Any) -> Markup:
    """Return a document as an element of this id, which a script reads and a browser shows nothing of."""
    from markupsafe import Markup

    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Within a script element only these end it or change how it is read.
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup('<script type="application/json" id="{}">{}</script>').format(name, Markup(text))


def _inline(text: str, element: str) -> Markup:
    """Return a text of our own for within an element; it must not end it."""
    from markupsafe import Markup

    if f"</{element}" in text.lower():
        raise ValueError(f"A {element} of a page holds its own end: write it in two parts.")
    return Markup(text)


def policy(scripts: Sequence[str], connect: bool) -> str:
    """Return the page's Content-Security-Policy: nothing is fetched, and no other script is run."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    asked = " connect-src 'self'; form-action 'self';" if connect else " form-action 'none';"
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:;"
        f"{asked} base-uri 'none'"
    )
