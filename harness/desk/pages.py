"""The desk's templates, and text made safe to show: models and users wrote most of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from harness.design import GLYPHS, colours, visible

# The only files that a request can name, by their names here.
STATIC: Mapping[str, str] = MappingProxyType(
    {
        "desk.css": "text/css",
        "desk.js": "text/javascript",
        "label.js": "text/javascript",
        "review.js": "text/javascript",
    }
)


class _Templates(BaseLoader):
    """Templates that lie in this package."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        try:
            return asset(template), template, lambda: True
        except FileNotFoundError:
            raise TemplateNotFound(template) from None


@cache
def asset(name: str) -> str:
    """Read a file of this package."""
    return files("harness.desk").joinpath(name).read_text("utf-8")


def page(template: str, **context: Any) -> HTMLResponse:
    """Render a template; everything in it is escaped."""
    return HTMLResponse(fragment(template, **context))


def fragment(template: str, **context: Any) -> str:
    """Render a template as text."""
    return _environment().get_template(template).render(context)


def static_route() -> Route:
    """Serve the page's own style and scripts, each by its name and nothing else by any."""

    async def static(request: Request) -> Response:
        kind = STATIC.get(request.path_params["name"])
        if kind is None:
            return PlainTextResponse("There is no such file.\n", status_code=404)
        text = asset(request.path_params["name"])
        return Response(colours() + text if kind == "text/css" else text, media_type=kind)

    return Route("/static/{name}", static)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=_Templates(),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"phrase": lambda word: str(word).replace("_", " "), "glyph": _glyph}
    return made


def _glyph(state: str) -> str:
    return GLYPHS.get(state, "–")


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
