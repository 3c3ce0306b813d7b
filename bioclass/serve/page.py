"""The page on which images are dropped and digits drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioclass.report.page import package_text, policy, render
from bioclass.serve.limits import amount

if TYPE_CHECKING:
    from bioclass.serve.service import Service

HERE = "bioclass.serve"


def page(service: Service) -> tuple[str, str]:
    """Return the page, and its Content-Security-Policy as a header has it."""
    limits = service.limits
    script = package_text("serve.js", HERE)
    text = render(
        "serve.html.jinja",
        {
            "models": service.facts,
            "several": len(service.facts) > 1,
            "drawing": any(facts["drawing"] for facts in service.facts),
            "settings": {
                "models": service.facts,
                "files": limits.files,
                "file_bytes": limits.file_bytes,
                "total_bytes": limits.total_bytes,
            },
            "most": f"{amount(limits.file_bytes)} and {limits.megapixels} megapixels",
        },
        scripts=[script],
        styles=[package_text("serve.css", HERE)],
        package=HERE,
        connect=True,
    )
    allowed = policy([package_text("script.js"), script], connect=True)
    return text, f"{allowed}; frame-ancestors 'none'"
