"""Which graph does a command line ask for?  The one of pipeline.yaml, changed by its options, and checked."""

from pathlib import Path
from shlex import quote

from nodes.runtime import rewire
from nodes.runtime.check import check
from nodes.runtime.errors import UserError
from nodes.runtime.graph import Graph, parse
from nodes.sources.archive import probe


def asked(
    pipeline: Path,
    *,
    source: Path | None = None,
    speed: float = 1.0,
    loop: bool = False,
    camera: str | None = None,
    microphone: str | None = None,
    no_camera: bool = False,
    no_microphone: bool = False,
    address: str | None = None,
    record: Path | None = None,
    cluster: str | None = None,
    keys: str | None = None,
) -> Graph:
    """Options as ``launch.py run`` has them; None leaves what the pipeline says.  UserError for a mistake."""
    if not source and (loop or speed != 1.0):
        raise UserError("--speed and --loop are for a file; add --source FILE")
    if source and (camera or microphone):
        raise UserError(
            "--source takes the place of camera and microphone; leave --camera and --microphone out"
        )
    if source and source.suffix == ".mcap":
        raise UserError(
            f"{source}: is a recording; play it with `python launch.py replay {quote(str(source))}`"
        )
    graph = parse(pipeline)
    if source:
        options = {"path": str(source.resolve()), "speed": speed, "loop": loop}
        graph = rewire.replace_sources(graph, "media", "sources/media", options)
    if camera is not None:
        graph = rewire.with_option(graph, "sources/camera", "device", _device(camera))
    if microphone is not None:
        graph = rewire.with_option(graph, "sources/microphone", "device", _device(microphone))
    if no_camera:
        graph = rewire.without(graph, "picture")
    if no_microphone:
        graph = rewire.without(graph, "audio")
    if address is not None:
        graph = rewire.with_option(graph, "outputs/publish", "address", address)
    if record is not None:
        graph = rewire.with_recorder(graph, str(record.resolve()))
    if cluster is not None or keys is not None:
        graph = rewire.with_cluster(graph, cluster, keys)
    return check(graph)


def asked_again(
    pipeline: Path, recording: Path, speed: float, address: str | None, out: Path | None
) -> Graph:
    """The graph that plays ``recording``, and writes what it understands to ``out`` as well.

    UserError for a recording that cannot be replayed, and for an ``out`` that cannot be written.
    """
    path = str(recording.resolve())
    about = probe(path)
    graph = rewire.for_replay(parse(pipeline), path, speed, about.ports, about.unix_offset_ns)
    if address is not None:
        graph = rewire.with_option(graph, "outputs/publish", "address", address)
    if out is not None:
        graph = rewire.with_results(graph, str(out.resolve()), about.unix_offset_ns)
        try:
            out.unlink(missing_ok=True)  # an old one must not be taken for this one's
        except OSError as error:
            raise UserError(f"{out}: cannot be written: {(error.strerror or '').lower()}") from None
    return check(graph)


def _device(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
