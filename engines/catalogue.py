"""Which public models there are, and how each is known: ``models.yaml``, checked."""

from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import msgspec
import yaml

from nodes.runtime.errors import UserError

CATALOGUE = Path(__file__).parent / "models.yaml"

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Bytes = Annotated[int, msgspec.Meta(gt=0, le=4 * 2**30)]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Url = Annotated[str, msgspec.Meta(pattern="^https?://[^/]+/")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
_Kind = TypeVar("_Kind")


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file must be: its SHA-256 in hexadecimal and its size."""

    sha256: Sha256
    bytes: Bytes


class Model(Known, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model: ``sha256`` and ``bytes`` are of what ``url`` gives, an archive where there are ``files``."""

    task: Text
    url: Url
    licence: Text
    provenance: Text
    replaces: Text
    files: dict[FileName, Known] = {}

    @property
    def download(self) -> str:
        """The name of the download, as a mirror holds it."""
        return urlsplit(self.url).path.rpartition("/")[2]

    @property
    def placed(self) -> dict[str, Known]:
        """The files that lie in the store once it has been pulled, by name."""
        return dict(self.files) or {self.download: Known(sha256=self.sha256, bytes=self.bytes)}


class Catalogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """mirror: a folder or an http address that downloads come from in place of every ``url``; "" for none."""

    models: dict[FileName, Model]
    mirror: str = ""

    def model(self, name: str) -> Model:
        """Raises UserError for a name that is not there."""
        if name not in self.models:
            raise UserError(f"no model '{name}'; there are {', '.join(self.models)}")
        return self.models[name]


def read_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Raises UserError where there is no such file, and where anything of a model is missing or malformed."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no catalogue of models can be read there: {error}") from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, RecursionError, AttributeError) as error:
        # PyYAML lets through what Python says of a date in a 13th month, or of lists too deep in each other.
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())[:300]}") from None
    entries = content.get("models") if isinstance(content, dict) else None
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        _convert(entry, Model, f"{path}: models.{name}")
    return _convert(content, Catalogue, str(path))


def _convert(content: object, kind: type[_Kind], where: str) -> _Kind:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {str(error).replace('`', '')}") from None
