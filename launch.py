"""hearsee: what is said in front of a camera and a microphone, live.

The models that come with it know the 51 words of the GRID corpus, not open English: see docs/models.md.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
    from typer.core import TyperGroup

    from engines.models import app as models
    from nodes.outputs.address import USUAL
    from nodes.runtime.errors import UserError
    from nodes.runtime.log import Lines, to_stderr
except ModuleNotFoundError as missing:
    sys.exit(
        f"error: {sys.executable} has no {missing.name}: run `make demo` once, then `. .venv/bin/activate`"
    )
except KeyboardInterrupt:  # before there is anything to stop
    sys.exit(130)

ROOT = Path(__file__).resolve().parent
PIPELINE = ROOT / "pipeline.yaml"
TALKER = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"

log = logging.getLogger("hearsee")


class RunByDefault(TyperGroup):
    """``python launch.py --source FILE`` is ``python launch.py run --source FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["run", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=RunByDefault,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__,
)
app.add_typer(models, name="models")

Pipeline = Annotated[
    Path, typer.Option(help="The wiring, in place of pipeline.yaml.", metavar="FILE", show_default=False)
]
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
Running = Annotated[str, typer.Argument(help="Where a hearsee publishes.", metavar="ADDRESS")]
Keys = Annotated[str, typer.Option(help="Folder of keys, where that has some.", metavar="FOLDER")]


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
    """Watch, listen and publish: what happens without a command."""
    from nodes.outputs.show import show
    from nodes.runtime.asked import asked

    to_stderr.as_json = log_json
    graph = asked(
        pipeline,
        source=source,
        speed=speed,
        loop=loop,
        camera=camera,
        microphone=microphone,
        no_camera=no_camera,
        no_microphone=no_microphone,
        address=address,
        record=record,
        cluster=cluster,
        keys=keys,
    )
    show(graph, seconds)


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Where recordings go.", metavar="FOLDER")] = Path(
        "recordings"
    ),
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
    """Run, and record what comes and what is understood."""
    run(source, speed, loop, camera, microphone, no_camera, no_microphone, folder, pipeline, address, seconds)


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="A recording (.mcap).", metavar="FILE")],
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
    """Run on a recording: the same every time, at any speed."""
    from nodes.outputs.show import show
    from nodes.runtime.asked import asked_again

    show(asked_again(pipeline, recording, speed, address, out))
    if out is not None and not out.exists():
        raise UserError(f"{out}: not written")


@app.command()
def demo(address: Address = None) -> None:
    """Play a rendered face that says a known sentence, and compare."""
    from nodes.outputs.show import show
    from nodes.runtime.asked import asked

    said = " ".join(json.loads(TALKER.with_suffix(".json").read_text(encoding="utf-8"))["sentences"])
    heard = " ".join(show(asked(PIPELINE, source=TALKER, address=address)))
    typer.echo(f"said:  {said}\nheard: {heard}")
    if heard != said:
        raise typer.Exit(1)
    typer.echo(
        "Next: `python launch.py` with your camera and microphone, `python launch.py doctor` if they fail."
    )


@app.command()
def listen(
    address: Running = USUAL,
    topics: Annotated[
        list[str] | None, typer.Argument(help="Only topics that begin so.", metavar="TOPIC")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    keys: Keys = "",
) -> None:
    """Print what a running hearsee publishes."""
    from nodes.outputs.listen import listen as listen_to

    raise typer.Exit(listen_to(address, topics or [], as_json, keys))


@app.command()
def top(
    address: Running = USUAL,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    keys: Keys = "",
) -> None:
    """Show a running hearsee: groups, nodes, delays, queues, memory."""
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
    """Let a pipeline on another host run groups here.  See docs/hosts.md."""
    from nodes.runtime.join import join as join_as
    from nodes.runtime.notify import Notify

    join_as(address, name, keys, own, log.info, Notify())


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(help="Where they are written.", metavar="FOLDER")] = Path("keys"),
) -> None:
    """Make keys for other machines, to subscribe or to join."""
    from nodes.outputs.keys import make

    for line in make(folder):
        typer.echo(line)


@app.command()
def doctor(
    live: Annotated[bool, typer.Option("--live", help="Ask a running hearsee instead.")] = False,
    address: Annotated[str, typer.Option(help="Where that publishes.", metavar="ADDRESS")] = USUAL,
    keys: Keys = "",
) -> None:
    """Look for what is missing on this machine, and name the remedy."""
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
        int,
        typer.Option(
            help="Streams a step is for, where the model takes several.", metavar="N", min=1, max=16
        ),
    ] = 1,
) -> None:
    """Compile the models for a GPU with TensorRT.

    TensorRT-RTX does so on a machine without a GPU, too.
    """
    from engines.build import build_all, shipped_models

    build_all(shipped_models(), precision, target, batch)


@app.command()
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help="Clips with words: GRID, Lombard GRID, FSDD, or your own; for sentiment a folder of FER2013,"
            " RAVDESS, MELD and SST.",
            metavar="CLIPS",
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
    """Count what is understood wrongly, on clips of your own."""
    if task not in ("speech", "sentiment"):
        raise UserError(f"--task {task}: give speech or sentiment")
    try:
        if task == "sentiment":
            from engines.sentiment.evaluate import evaluate as measure_sentiment

            return measure_sentiment(data, out, clips or None, weights)
        from engines.speech.evaluation.run import evaluate as measure
    except ModuleNotFoundError as missing:
        raise UserError(
            f"evaluate needs {missing.name}: `make .venv/development` installs it, `make demo` does not"
        ) from None
    measure(data, out, clips, held_out, speaker, weights, grammar, noise, babble)


def main() -> None:
    lines = Lines("", to_stderr)
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
