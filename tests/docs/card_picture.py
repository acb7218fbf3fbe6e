"""docs/pictures/card.png: the card of docs/exchanges/moderate.json as a clinician sees it, in a frame like an EHR's.

`PYTHONPATH=plugins python -m tests.docs.card_picture` writes it anew; it needs Chromium on the PATH. The picture carries the
sha256 of the page that it shows.
"""

import hashlib
import json
import subprocess
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.docs.exchanges import FOLDER, ROOT

PICTURE = ROOT / "docs" / "pictures" / "card.png"
WIDTH, HEIGHT = 960, 590
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><style>
body {{ margin: 0; padding: 14px; background: #fff; font: 14px/1.4 "DejaVu Sans", sans-serif; color: #0f172a; }}
.card {{ border: 1px solid #334155; border-left: 8px solid #d97706; border-radius: 8px; padding: 10px 18px 14px; }}
h1 {{ font-size: 18px; margin: 4px 0; }}
.source, .end {{ color: #334155; font-size: 12px; }}
p {{ margin: 8px 0; }}
table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ text-align: left; white-space: nowrap; padding: 2px 16px 2px 0; border-bottom: 1px solid #cbd5e1; }}
a {{ color: #1d4ed8; }}
button {{ font: inherit; padding: 4px 12px; border: 1px solid #1d4ed8; border-radius: 5px; background: #dbeafe; }}
</style></head><body><div class="card">
<h1>{summary}</h1><div class="source">Source: <a>{source}</a></div>
{detail}
<p>{buttons}</p><div class="end"><a>{link}</a></div>
</div></body></html>"""


def page(card: dict[str, Any]) -> str:
    """Return a card as a page of HTML."""
    buttons = [one["label"] for one in card["suggestions"]]
    return _PAGE.format(
        summary=escape(card["summary"]),
        source=escape(card["source"]["label"]),
        detail=MarkdownIt("commonmark", {"html": False}).enable("table").render(card["detail"]),
        buttons=" ".join(f"<button>{escape(label)}</button>" for label in [*buttons, "Override …"]),
        link=escape(card["links"][0]["label"]),
    )


def source() -> str:
    """Return the page of the card as it is now."""
    (card,) = json.loads((FOLDER / "moderate.json").read_text(encoding="utf-8"))["answer"]["body"]["cards"]
    return page(card)


def digest(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()


def main() -> None:
    """Write the picture."""
    html = source()
    with tempfile.TemporaryDirectory() as folder:
        shown, taken = Path(folder) / "card.html", Path(folder) / "card.png"
        shown.write_text(html, encoding="utf-8")
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        command += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={taken}", shown.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        about = PngInfo()
        about.add_text("Source", digest(html))
        Image.open(taken).convert("RGB").quantize(64).save(PICTURE, optimize=True, pnginfo=about)


if __name__ == "__main__":
    main()
