"""The model card as a page: what every risk card links to, for any version that the registry keeps, champion or not.

A card in a chart may be read long after the champion has changed, so its link names the version that it came from.
"""

from functools import lru_cache
from html import escape

from markdown_it import MarkdownIt

from cds_hooks.refusals import Refusal
from cds_hooks.screens import Screens
from cds_hooks.settings import Settings
from screening.errors import ModelError
from screening.model.bundle import ModelBundle
from screening.model.layout import CARD, version_folder

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 54rem; margin: 1.5rem auto; padding: 0 1rem; }}
h2 {{ font-size: 1.15rem; border-bottom: 1px solid #ccc; margin-top: 2rem; }}
blockquote {{ border-left: 4px solid #d55e00; background: #fdf3ec; margin: .5rem 0; padding: .2rem .8rem; }}
table {{ border-collapse: collapse; font-size: .87rem; display: block; overflow-x: auto; }}
th, td {{ text-align: left; vertical-align: top; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid #ddd; }}
</style></head><body>
{body}
</body></html>
"""


def page(screens: Screens, name: str, version: str, settings: Settings) -> str:
    """Return the model card of a version as a page of HTML.

    Raises
    ------
    Refusal
        404: no service has such a model, or the registry has no card of this version.
    """
    bundles = [screen.loaded.bundle for screen in screens.values() if screen.loaded]
    for bundle in bundles:
        if (bundle.name, bundle.version) == (name, version) and not bundle.manifest:
            return _page(f"{name} {version}", _own_words(bundle))
    served = {bundle.name for bundle in bundles if bundle.manifest}
    if settings.model_file is None:
        served.update(str(screen.schema.model) for screen in screens.values())
    if name not in served:
        raise _unknown()
    try:
        text = (version_folder(settings.models, name, version) / CARD).read_text(encoding="utf-8")
    except (ModelError, OSError, UnicodeDecodeError):
        raise _unknown() from None
    return _page(f"Model card: {name} {version}", text)


def _unknown() -> Refusal:
    return Refusal(404, "there is no model card of this version")


@lru_cache(maxsize=16)
def _page(title: str, markdown: str) -> str:
    # Kept, for who asks needs no token, and one rendering takes a core for 20 ms and more.
    return _PAGE.format(title=escape(title), body=_MARKDOWN.render(markdown))


def _own_words(bundle: ModelBundle) -> str:
    """Say of a file outside the registry what is known of it, and that no card came with it."""
    lines = [
        f"# {bundle.name} {bundle.version}",
        "> **Research software, not a medical device. Not for clinical use.**",
        "> **No model card came with this model: it is a file outside the registry.** Nothing is known of its training.",
        f"- sha256: {bundle.sha256}",
        f"- features: {', '.join(bundle.feature_names)}",
        f"- threshold of its training: {bundle.threshold if bundle.threshold is not None else 'not told'}",
        *(f"- {warning}" for warning in bundle.warnings),
    ]
    return "\n\n".join(lines)
