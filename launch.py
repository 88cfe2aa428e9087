"""hearsee: what is said in front of a camera and a microphone, live.

The models that come with it know the 51 words of the GRID corpus, not open English: see docs/models.md.
"""

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from engines.models import app as models
from nodes.runtime.errors import UserError
from nodes.runtime.graph import LOCAL, Graph
from nodes.runtime.log import Line, Lines

ROOT = Path(__file__).resolve().parent
PIPELINE = ROOT / "pipeline.yaml"
TALKER = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"
ADDRESS = "tcp://127.0.0.1:5556"
CONNECT_S = 2.0


log = logging.getLogger("hearsee")


class _ToStderr:
    """A line to whatever is stderr then: while the screen is live, it is what prints above it."""

    as_json = False

    def __call__(self, line: Line) -> None:
        typer.echo(line.json if self.as_json else line.text, err=True)


to_stderr = _ToStderr()
lines = Lines("", to_stderr)


class RunByDefault(TyperGroup):
    """``python launch.py --source FILE`` is ``python launch.py run --source FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["run", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(cls=RunByDefault, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(models, name="models")


def _device(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _graph(
    pipeline: Path,
    source: Path | None,
    speed: float,
    loop: bool,
    camera: str | None,
    microphone: str | None,
    no_camera: bool,
    no_microphone: bool,
    address: str | None,
    record: Path | None = None,
    cluster: str | None = None,
    keys: str | None = None,
) -> Graph:
    """The checked graph that the options ask for."""
    from nodes.runtime import rewire
    from nodes.runtime.check import check
    from nodes.runtime.graph import parse

    graph = parse(pipeline)
    if source and source.suffix == ".mcap":
        raise UserError(f"{source}: is a recording; play it with `python launch.py replay {source}`")
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


def _run(graph: Graph, seconds: float | None) -> list[str]:
    """Runs the graph, showing what it publishes; returns the words of the last finals."""
    from nodes.outputs.follow import Follow
    from nodes.outputs.screen import Screen
    from nodes.runtime.rehearse import rehearse
    from nodes.runtime.run import run as run_graph

    rehearse(graph)
    groups: dict[str, list[str]] = {}
    for spec in graph.nodes.values():
        groups.setdefault(spec.group, []).append(spec.id)
    named = ", ".join(f"{name} ({' '.join(ids)})" for name, ids in groups.items())
    log.info("starting %s: %s ...", _count(len(groups), "group"), named)
    publisher = next(
        (
            spec
            for spec in graph.nodes.values()
            if spec.kind == "outputs/publish" and graph.groups[spec.group].runs_on == LOCAL
        ),
        None,
    )
    address = publisher.options.get("address", ADDRESS) if publisher else ""
    with Screen() as screen:
        follow = Follow(address, publisher.options.get("keys", ""), screen) if publisher else None

        def ready() -> None:
            if follow:
                follow.start()
                follow.connected.wait(CONNECT_S)
            log.info("running%s; Ctrl-C stops", address and f", publishing at {address}")

        try:
            run_graph(graph, seconds, ready, _tell)
        finally:
            if follow:
                follow.stop()
    return list(follow.heard) if follow else []


def _tell(line: str) -> None:
    log.info("%s", line)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


Pipeline = Annotated[Path, typer.Option(help="The wiring.", metavar="FILE")]
Address = Annotated[str | None, typer.Option(help="Where to publish.", metavar="ADDRESS")]
Source = Annotated[Path | None, typer.Option(help="A media file in place of the devices.", metavar="FILE")]
Speed = Annotated[
    float, typer.Option(help="Of the file: 1 real time, N times that, 0 as fast as it goes.", metavar="N")
]
Loop = Annotated[bool, typer.Option("--loop", help="Begin the file again at its end, for ever.")]
Camera = Annotated[str | None, typer.Option(help="Index, path or URL.", metavar="DEVICE")]
Microphone = Annotated[str | None, typer.Option(help="Index, or a part of its name.", metavar="DEVICE")]
NoCamera = Annotated[bool, typer.Option("--no-camera", help="Sound only.")]
NoMicrophone = Annotated[bool, typer.Option("--no-microphone", help="Lips only.")]
Seconds = Annotated[float | None, typer.Option(help="Stop after so long.", metavar="N", min=0.1)]


@app.command()
def run(
    source: Source = None,
    speed: Speed = 1.0,
    loop: Loop = False,
    camera: Camera = None,
    microphone: Microphone = None,
    no_camera: NoCamera = False,
    no_microphone: NoMicrophone = False,
    record: Annotated[
        Path | None, typer.Option(help="Record to it as well, see docs/recording.md.", metavar="FOLDER")
    ] = None,
    pipeline: Pipeline = PIPELINE,
    address: Address = None,
    seconds: Seconds = None,
    cluster: Annotated[
        str | None, typer.Option(help="This host's address, where others join it.", metavar="ADDRESS[:PORT]")
    ] = None,
    keys: Annotated[
        str | None, typer.Option(help="Folder of the hosts' keys (docs/hosts.md).", metavar="FOLDER")
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="What goes to stderr: one JSON object a line.")
    ] = False,
) -> None:
    """Watch, listen and publish (this is what happens without a command)."""
    to_stderr.as_json = log_json
    if not source and (loop or speed != 1.0):
        raise UserError("--speed and --loop are for a file; add --source FILE")
    if source and (camera or microphone):
        raise UserError(
            "--source takes the place of camera and microphone; leave --camera and --microphone out"
        )
    graph = _graph(
        pipeline,
        source,
        speed,
        loop,
        camera,
        microphone,
        no_camera,
        no_microphone,
        address,
        record,
        cluster,
        keys,
    )
    _run(graph, seconds)


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Where recordings go.")] = Path("recordings"),
    source: Source = None,
    speed: Speed = 1.0,
    loop: Loop = False,
    camera: Camera = None,
    microphone: Microphone = None,
    no_camera: NoCamera = False,
    no_microphone: NoMicrophone = False,
    pipeline: Pipeline = PIPELINE,
    address: Address = None,
    seconds: Seconds = None,
) -> None:
    """Watch, listen and publish, and record all of it: the same as run --record FOLDER."""
    run(source, speed, loop, camera, microphone, no_camera, no_microphone, folder, pipeline, address, seconds)


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="A recording (.mcap).")],
    speed: Annotated[
        float, typer.Option(help="1 as it was, N times that, 0 as fast as it goes.", metavar="N")
    ] = 1.0,
    out: Annotated[
        Path | None,
        typer.Option(help="What is understood, as lines of JSON: the same every time.", metavar="FILE"),
    ] = None,
    pipeline: Pipeline = PIPELINE,
    address: Address = None,
) -> None:
    """Run the pipeline on a recording: what it understands is the same every time, at any speed."""
    from nodes.runtime import rewire
    from nodes.runtime.check import check
    from nodes.runtime.graph import parse
    from nodes.sources.archive import probe

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
    _run(check(graph), seconds=None)
    if out is not None and not out.exists():
        raise UserError(f"{out}: not written")


@app.command()
def demo(address: Address = None) -> None:
    """Play the talker, a rendered face that says a known sentence, and compare what was heard."""
    said = " ".join(json.loads(TALKER.with_suffix(".json").read_text(encoding="utf-8"))["sentences"])
    graph = _graph(PIPELINE, TALKER, 1.0, False, None, None, False, False, address)
    heard = " ".join(_run(graph, seconds=None))
    typer.echo(f"said:  {said}\nheard: {heard}")
    if heard != said:
        raise typer.Exit(1)
    typer.echo(
        "Next: `python launch.py` with your camera and microphone, `python launch.py doctor` if they fail."
    )


@app.command()
def listen(
    address: Annotated[str, typer.Argument(help="Where a hearsee publishes.")] = ADDRESS,
    topics: Annotated[list[str] | None, typer.Argument(help="Only topics that begin so.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    keys: Annotated[str, typer.Option(help="Folder of keys, where the publisher has some.")] = "",
) -> None:
    """Print what a running hearsee publishes."""
    from nodes.outputs.listen import listen as listen_to

    raise typer.Exit(listen_to(address, topics or [], as_json, keys))


@app.command()
def top(
    address: Annotated[str, typer.Argument(help="Where a hearsee publishes.")] = ADDRESS,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    keys: Annotated[str, typer.Option(help="Folder of keys, where the publisher has some.")] = "",
) -> None:
    """Show how a running hearsee is: groups, nodes, delays, queues, memory."""
    from nodes.outputs.top import top as show

    raise typer.Exit(show(address, once, keys))


@app.command()
def join(
    address: Annotated[
        str, typer.Argument(help="Where the host that runs the pipeline is.", metavar="ADDRESS[:PORT]")
    ],
    name: Annotated[str, typer.Option("--as", help="What `runs_on` calls this host.", metavar="NAME")],
    keys: Annotated[Path, typer.Option(help="Folder with a copy of `hosts`.", metavar="FOLDER")] = Path(
        "keys"
    ),
    own: Annotated[
        str | None, typer.Option(help="This host's address, where it has several.", metavar="ADDRESS")
    ] = None,
) -> None:
    """Let a pipeline on another host run its groups here (docs/hosts.md)."""
    from nodes.runtime.join import join as join_as
    from nodes.runtime.notify import Notify

    join_as(address, name, keys, own, _tell, Notify())


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(help="Where they are written.", metavar="FOLDER")] = Path("keys"),
) -> None:
    """Make keys for what other machines may read, and for hosts that belong together."""
    from nodes.outputs.keys import make

    for line in make(folder):
        typer.echo(line)


@app.command()
def doctor(
    live: Annotated[bool, typer.Option("--live", help="Ask a running hearsee instead.")] = False,
    address: Annotated[str, typer.Option(help="Where that publishes.", metavar="ADDRESS")] = ADDRESS,
    keys: Annotated[str, typer.Option(help="Folder of keys, where it has some.")] = "",
) -> None:
    """Look for what hearsee needs on this machine, and name the remedy for what is missing."""
    from nodes.outputs.diagnosis import ask
    from nodes.runtime.doctor import doctor as examine

    raise typer.Exit(ask(address, keys) if live else examine())


@app.command()
def build(
    precision: Annotated[str, typer.Option(help="float16 or float32.", metavar="NAME")] = "float16",
    target: Annotated[
        str | None, typer.Option("--for", help="Compute capability; not given: this GPU's.", metavar="sm_89")
    ] = None,
    batch: Annotated[
        int, typer.Option(help="Streams a step is for, where the model takes several.", min=1, max=16)
    ] = 1,
) -> None:
    """Compile the models for a GPU with TensorRT (TensorRT-RTX does so on a machine without one, too)."""
    from engines.build import build_all, shipped_models

    build_all(shipped_models(), precision, target, batch)


@app.command()
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help="Clips with words: GRID, Lombard GRID, FSDD, or your own; for sentiment a folder of FER2013,"
            " RAVDESS, MELD and SST."
        ),
    ],
    task: Annotated[
        str, typer.Option(help="What is measured: speech, or sentiment.", metavar="TASK")
    ] = "speech",
    clips: Annotated[int, typer.Option(help="How many, of each set; 0 for all.", metavar="N", min=0)] = 40,
    held_out: Annotated[bool, typer.Option("--held-out", help="Only those kept out of training.")] = False,
    speaker: Annotated[str, typer.Option(help="Only this one.", metavar="NAME")] = "",
    weights: Annotated[str, typer.Option(help="Folder of other models.", metavar="FOLDER")] = "",
    grammar: Annotated[str, typer.Option(help="The sentences that are possible.", metavar="FILE")] = "",
    noise: Annotated[Path | None, typer.Option(help="Recordings to add.", metavar="FOLDER")] = None,
    babble: Annotated[Path | None, typer.Option(help="Voices to add.", metavar="FOLDER")] = None,
    out: Annotated[Path | None, typer.Option(help="Where results go on.", metavar="FOLDER")] = None,
) -> None:
    """Count the words understood wrongly, or the emotions, by each kind of evidence and all together."""
    if task == "sentiment":
        from engines.sentiment.evaluate import evaluate as measure_sentiment

        return measure_sentiment(data, out, clips or None, weights)
    if task != "speech":
        raise UserError(f"--task {task}: give speech or sentiment")
    from engines.speech.evaluation.run import evaluate as measure

    measure(data, out, clips, held_out, speaker, weights, grammar, noise, babble)


def main() -> None:
    lines.setLevel(logging.INFO)
    logging.basicConfig(level=logging.WARNING, handlers=[lines])
    log.setLevel(logging.INFO)
    try:
        app()
    except UserError as error:
        log.error("%s", error)
        raise SystemExit(2) from None
    finally:
        lines.flush()


if __name__ == "__main__":
    main()
