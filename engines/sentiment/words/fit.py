"""The words expert's vocabulary and its training."""

import io
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engines.sentiment.words.batches import Batch, Batches
from engines.sentiment.words.corpora import UNLABELLED, Sentence
from engines.sentiment.words.model import HEADS, Size, WordsExpert
from engines.sentiment.words.subwords import SPECIAL, SubWords
from engines.sentiment.words.wide import fit_wide

_SMOOTHED = 0.05


@dataclass(frozen=True)
class Recipe:
    """pieces: size of the vocabulary.  average: decay of the mean of weights that is kept."""

    pieces: int = 6000
    steps: int = 1800
    batch: int = 64
    rate: float = 1e-3
    decay: float = 0.05
    average: float = 0.995
    seed: int = 4


FULL = Recipe()
SMOKE = Recipe(pieces=600, steps=60)


def learn_vocabulary(sentences: Sequence[Sentence], pieces: int) -> SubWords:
    """The most useful ``pieces`` by byte-pair merges (Sennrich et al. 2016), learnt with sentencepiece."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(" ".join(s.words) for s in sentences),
        model_writer=model,
        model_type="bpe",
        vocab_size=pieces,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    learnt = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    control = {i for i in range(len(learnt)) if learnt.is_control(i) or learnt.is_unknown(i)}
    return SubWords([*SPECIAL, *(learnt.id_to_piece(i) for i in range(len(learnt)) if i not in control)])


def fit(
    corpora: Sequence[Sequence[Sentence]],
    subwords: SubWords,
    recipe: Recipe,
    tell: Callable[[int, float], None],
) -> WordsExpert:
    """Both parts: the wide one solved, of the deep one the running mean of its weights (Polyak averaging).

    tell: called after each hundred steps with step and loss.
    """
    torch.manual_seed(recipe.seed)
    network = WordsExpert(Size(len(subwords.vocabulary)))
    sentences = [sentence for corpus in corpora for sentence in corpus]
    labels = {
        "logits": [s.emotion for s in sentences],
        "sentiment": [s.sentiment for s in sentences],
        "grades": [s.grade for s in sentences],
    }
    weights = {name: rarity(found, HEADS[name]) for name, found in labels.items()}
    kept = fit_deep(network, corpora, subwords, recipe, weights, tell)
    tables = [
        fit_wide(sentences, np.array(found), HEADS[name], weights[name].numpy())
        for name, found in labels.items()
    ]
    with torch.no_grad():
        kept.wide.copy_(torch.from_numpy(np.concatenate(tables, 1)))
    return kept.eval()


def fit_deep(
    network: WordsExpert,
    corpora: Sequence[Sequence[Sentence]],
    subwords: SubWords,
    recipe: Recipe,
    weights: dict[str, Tensor],
    tell: Callable[[int, float], None],
) -> WordsExpert:
    kept = deepcopy(network)
    learning = [
        (name, mean, now)
        for (name, mean), now in zip(kept.named_parameters(), network.parameters(), strict=True)
        if now.requires_grad
    ]
    groups: list[dict[str, Any]] = [
        {"params": [now for name, _, now in learning if name == "vectors"], "weight_decay": 0.0},
        {"params": [now for name, _, now in learning if name != "vectors"]},
    ]
    optimiser = torch.optim.AdamW(groups, recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.steps, pct_start=0.2)
    batches = Batches(corpora, subwords, recipe.batch, recipe.seed)
    network.train()
    for step in range(1, recipe.steps + 1):
        value = loss(network, batches.next(), weights)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            share = max(1 - recipe.average, 1 / step)
            for _, mean, now in learning:
                mean.lerp_(now, share)
        if step % 100 == 0 or step == recipe.steps:
            tell(step, value.item())
    return kept


def loss(network: WordsExpert, batch: Batch, weights: dict[str, Tensor]) -> Tensor:
    """Cross entropy of every label that is there; of grades also whether they are good or bad at all."""
    found, _ = network.deep(batch.words, batch.before)
    total = torch.zeros(())
    for name, labels in batch.labels.items():
        there = labels != UNLABELLED
        if there.any():
            answers, right = found[name][there], labels[there]
            total = total + F.cross_entropy(answers, right, weights[name], label_smoothing=_SMOOTHED)
            if name == "grades":
                good = answers[:, 3:].logsumexp(1) - answers[:, :2].logsumexp(1)
                surprise = F.binary_cross_entropy_with_logits(
                    good, (right > 2).float(), weight=(right != 2).float()
                )
                total = total + surprise
    return total


def rarity(labels: Sequence[int], classes: int) -> Tensor:
    """float32 [classes], a class's weight: the root of how much rarer than the mean it is."""
    counts = torch.bincount(
        torch.tensor([label for label in labels if label != UNLABELLED], dtype=torch.long), minlength=classes
    ).float()
    return (counts.mean() / counts.clamp(min=1)).sqrt()
