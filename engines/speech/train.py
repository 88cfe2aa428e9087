"""Train the recogniser: ``python -m engines.speech.train --corpus DIR --lips DIR --work DIR``.

Five stages, each resumed where it stopped: sound, on sentences; with more words said alone; with accents and
words cut short (``recipe.SOUND``); lips; then both with these two frozen, so that without a camera the
transcript is the audio network's to the bit.  Then export (``engines/speech/export.py``).
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from engines.command import command
from engines.speech import augment, augment_lips
from engines.speech.ahead import ahead
from engines.speech.batches import PairBatches, SoundBatches
from engines.speech.card import write_cards
from engines.speech.conditions import Bench, open_bench
from engines.speech.export import export_all
from engines.speech.fusion import FUSIONS, Fusion
from engines.speech.losses import agreement_loss, speaking_samples, speech_loss
from engines.speech.model import Audio, Size, Video
from engines.speech.recipe import FULL, HOLD_OUT, PAIRS, SMOKE, SOUND, Mixture, Recipe
from engines.speech.stage import N, run_stage
from engines.speech.validate import Report, validate_audio, validate_fusion, validate_video
from engines.speech.vocabulary import TOKENS
from nodes.runtime.errors import UserError


def train_sound(
    name: str,
    bench: Bench,
    recipe: Recipe,
    mixture: Mixture,
    work: Path,
    network: Audio,
    seconds: float,
) -> Audio:
    """A stage of the sound: on with ``network``."""
    batches = SoundBatches(
        bench.corpus,
        mixture.shares,
        recipe.batch,
        recipe.frames,
        recipe.seed,
        mixture.alone,
        mixture.trimmed,
    )
    network = network.to(bench.device)
    began = copy.deepcopy(network.state_dict())
    batch = ahead(batches.at)

    def step(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        bench.begin(recipe.seed, number)
        progress = number / recipe.steps
        sound, speaking, labels = batch(number)
        with torch.autocast(bench.device.type, enabled=False):
            clean = 0.6 if progress < 0.1 else 0.25
            features = bench.features(bench.degrade(sound, speaking, clean, mixture.gated), warp=True)
        outputs, _ = network(features, network.initial(len(features), bench.device))
        return speech_loss(outputs, labels, 1.0 - 0.7 * min(1.0, 2 * progress))

    def check(net: nn.Module) -> Report:
        return validate_audio(net, bench.corpus, bench.noise, bench.mel)

    def score(net: nn.Module) -> float:
        return validate_audio(net, bench.corpus, bench.noise, bench.mel, to_choose=True).score

    ended = run_stage(name, network, recipe, work, bench.device, step, check, seconds, score, True)
    ended.load_state_dict(
        {key: torch.lerp(began[key], weight, recipe.blend) for key, weight in ended.state_dict().items()}
    )
    return ended


def train_video(bench: Bench, recipe: Recipe, work: Path, size: Size, seconds: float) -> Video:
    lips = bench.need_lips()
    network = Video(size).to(bench.device)
    batch = ahead(PairBatches(bench.corpus, lips, PAIRS, recipe.batch, recipe.frames, recipe.seed).at)

    def step(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        bench.begin(recipe.seed, number)
        progress = number / recipe.steps
        _, pictures, there, labels = batch(number)
        with torch.autocast(bench.device.type, enabled=False):
            mouths = augment_lips.distort(pictures, bench.generator)
            b, t = there.shape
            present = there * augment_lips.drop_pictures(b, t, bench.generator, clean=0.7)
        outputs, _ = network(mouths, present, network.initial(len(mouths), bench.device))
        return speech_loss(outputs, labels, 1.0 - 0.6 * min(1.0, 2 * progress))

    def check(net: nn.Module) -> Report:
        return validate_video(net, bench.corpus, lips)

    def score(net: nn.Module) -> float:
        return validate_video(net, bench.corpus, lips).score

    return run_stage("video", network, recipe, work, bench.device, step, check, seconds, score, True)


def train_fusion(
    bench: Bench, recipe: Recipe, work: Path, size: Size, seconds: float, audio: Audio, video: Video
) -> Fusion:
    """Both, with both branches frozen and each missing, late, or somebody else's for a share of the batch.

    The agreement heads learn here too, from the pairs that do belong together.
    """
    lips = bench.need_lips()
    audio.eval().requires_grad_(False)
    video.eval().requires_grad_(False)
    # On clips it was trained on the lip reader is surer than it is on new ones: its dropout stays on to say
    # so.
    for module in video.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    network = Fusion(size).to(bench.device)
    if network.weighs:
        network.audio_words.load_state_dict(audio.heads.words.state_dict())
        network.video_words.load_state_dict(video.heads.words.state_dict())
        network.audio_words.requires_grad_(False)
        network.video_words.requires_grad_(False)
    audio.agreement.requires_grad_(True)
    video.agreement.requires_grad_(True)
    trained = nn.ModuleDict({"fusion": network, "audio": audio.agreement, "video": video.agreement})
    batch = ahead(PairBatches(bench.corpus, lips, PAIRS, recipe.batch, recipe.frames, recipe.seed).at)

    def step(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        g = bench.generator
        bench.begin(recipe.seed, number)
        sound, pictures, there, labels = batch(number)
        b, t = there.shape
        with torch.no_grad(), torch.autocast(bench.device.type, enabled=False):
            mouths = augment_lips.distort(pictures, g)
            present = there * augment_lips.drop_pictures(b, t, g, clean=0.6)
            features = bench.features(bench.degrade(sound, speaking_samples(labels), 0.2), warp=False)
            late = torch.randint(-5, 6, (b,), generator=g, device=bench.device)
            late = torch.where(augment.chance(b, 0.2, g)[:, 0], late, torch.zeros_like(late))
            row = torch.arange(b, device=bench.device)
            other = torch.where(augment.chance(b, 0.1, g)[:, 0], row.roll(1), row)
            source = (torch.arange(t, device=bench.device)[None] - late[:, None]).clamp(0, t - 1)
            mouths, present = mouths[other[:, None], source], present[other[:, None], source]
            paired = (late == 0) & (other == row)
            deaf = augment.chance(b, 0.15, g)[:, 0] & paired
            hearing = torch.where(
                deaf[:, None], augment_lips.drop_pictures(b, t, g, clean=0.0), torch.ones_like(there)
            )
            quality = present * augment.uniform((b, 1), 0.5, 1.0, g)
        heard, _ = audio(features, audio.initial(b, bench.device))
        seen, _ = video(mouths, present, video.initial(b, bench.device))
        outputs, _ = network(
            heard["encoding"].detach(),
            seen["encoding"].detach(),
            hearing,
            quality,
            network.initial(b, bench.device),
        )
        loss, figures = speech_loss(outputs, labels, 0.3)
        together = present * paired[:, None] * labels.voice.eq(1)
        agreement = agreement_loss(heard["agreement"], seen["agreement"], together)
        return loss + 0.3 * agreement, {**figures, "agree": agreement.detach()}

    def check(net: nn.Module) -> Report:
        return validate_fusion(audio, video.eval(), net["fusion"], bench.corpus, lips, bench.noise, bench.mel)  # type: ignore[index]

    trained = run_stage("fusion", trained, recipe, work, bench.device, step, check, seconds)
    audio.agreement.load_state_dict(trained["audio"].state_dict())
    video.agreement.load_state_dict(trained["video"].state_dict())
    return trained["fusion"]  # type: ignore[return-value]


def main(
    corpus: Annotated[Path, typer.Option(help="shards made by `python -m engines.speech.corpus`")],
    lips: Annotated[
        list[Path], typer.Option(help="mouth crops made by `python -m engines.speech.lips`; may repeat")
    ],
    work: Annotated[Path, typer.Option(help="checkpoints; outside the repository")],
    data: Annotated[Path, typer.Option(help="folder with noise/ and rir/")] = Path("../shared/data"),
    out: Annotated[
        Path | None, typer.Option(help="export the engines there; else only WORK/NAME.weights.pt")
    ] = None,
    stages: Annotated[str, typer.Option(help="which to run, in this order")] = ",".join(FULL),
    hold_out: Annotated[
        list[str] | None, typer.Option(help=f"voices kept from training; default {', '.join(HOLD_OUT)}")
    ] = None,
    seconds: Annotated[float, typer.Option(help="stop each stage after so long, to be resumed")] = 1e9,
    steps: Annotated[str, typer.Option(help="other lengths, as audio=9000,video=6000")] = "",
    fusion: Annotated[str, typer.Option(help=f"where both meet: {', '.join(FUSIONS)}")] = Size.fusion,
    seed: int = 1,
    smoke: Annotated[bool, typer.Option(help="the whole recipe in miniature")] = False,
) -> None:
    """Train, resume or finish the networks of the recogniser and export them as engines."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    work.mkdir(parents=True, exist_ok=True)
    wanted = set(stages.split(","))
    kept_out = hold_out or HOLD_OUT
    bench = open_bench(corpus, lips if wanted & {"video", "fusion"} else [], data, kept_out, seed, device)
    recipes = {name: replace(recipe, seed=seed) for name, recipe in (SMOKE if smoke else FULL).items()}
    for name, count in (pair.split("=") for pair in steps.split(",") if pair):
        recipes[name] = replace(recipes[name], steps=int(count))
    if fusion not in FUSIONS:
        raise UserError(f"--fusion {fusion}: there are {', '.join(FUSIONS)}")
    size = Size(tokens=len(TOKENS), fusion=fusion)

    def trained(name: str, network: N) -> N:
        network.load_state_dict(
            torch.load(work / f"{name}.weights.pt", map_location=device, weights_only=True)
        )
        return network.to(device)

    def keep(name: str, network: nn.Module) -> None:
        torch.save(network.state_dict(), work / f"{name}.weights.pt")

    for before, name in zip((None, *SOUND), SOUND, strict=False):
        if name in wanted:
            start = trained(before, Audio(size)) if before else Audio(size)
            keep(name, train_sound(name, bench, recipes[name], SOUND[name], work, start, seconds))
    if "video" in wanted:
        keep("video", train_video(bench, recipes["video"], work, size, seconds))
    if "fusion" in wanted:
        audio, video = trained("audio", Audio(size)), trained("video", Video(size))
        keep("fusion", train_fusion(bench, recipes["fusion"], work, size, seconds, audio, video))
        keep("audio", audio)  # their agreement heads were trained here
        keep("video", video)
    if out is not None:
        export_all(work, out)
        if set(FULL) <= wanted:
            write_cards(out, work, bench, recipes, kept_out)


if __name__ == "__main__":
    command(main)
