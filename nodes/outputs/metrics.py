"""What is told to Prometheus: the figures of ``status``, each a metric.

``docs/metrics.md`` is printed from what stands here: ``python -m nodes.outputs.metrics > docs/metrics.md``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nodes.outputs.bodies import StatusBody

MODES = ("av", "audio", "video", "none")
QUANTILES = {"0.5": "p50_ms", "0.9": "p90_ms", "0.99": "p99_ms"}
INTRODUCTION = """\
# Metrics for Prometheus

*Printed by `python -m nodes.outputs.metrics`; change it there.*

With `metrics: "127.0.0.1:9464"` among the options of the node `publish` in `pipeline.yaml`, what `status`
tells is served at `http://127.0.0.1:9464/metrics` too. Without it nothing listens. It is not
encrypted and asks nobody who they are, so an address that other machines can reach is refused: a proxy that
does, or `ssh -L`, brings it further. What was said is not among the metrics, but when somebody speaks can be
told from them.

```yaml
scrape_configs:
  - job_name: hearsee
    static_configs: [{targets: ["127.0.0.1:9464"]}]
```

"""

Samples = Iterable[tuple[tuple[str, ...], float | None]]


class Told(NamedTuple):
    """body: the latest status.  published: messages so far, by topic.  now_ns: the host's clock now."""

    body: StatusBody
    published: Counter[str]
    now_ns: int


class Family(NamedTuple):
    """One metric: a counter where its name ends with ``_total``, else a gauge.  None is no sample."""

    name: str
    labels: tuple[str, ...]
    about: str
    samples: Callable[[Told], Samples]


def _groups(key: str) -> Callable[[Told], Samples]:
    return lambda told: [((name,), group[key]) for name, group in told.body.groups.items()]


def _edges(key: str) -> Callable[[Told], Samples]:
    return lambda told: [((name,), queue[key]) for name, queue in told.body.queues.items()]


def _clocks(key: str, unit: float) -> Callable[[Told], Samples]:
    return lambda told: [
        ((name,), node["clock"][key] * unit) for name, node in told.body.nodes.items() if "clock" in node
    ]


def _hosts(key: str, unit: float = 1.0) -> Callable[[Told], Samples]:
    return lambda told: [((name,), clock[key] * unit) for name, clock in told.body.clocks.items()]


def _quantiles(each: dict[str, dict[str, Any]], what: str) -> Samples:
    for name, times in each.items():
        for quantile, key in QUANTILES.items():
            if what + key in times:
                yield (name, quantile), times[what + key] / 1e3


FAMILIES = (
    Family("hearsee_uptime_seconds", (), "since the publisher started", lambda t: [((), t.body.uptime_s)]),
    Family(
        "hearsee_status_age_seconds",
        (),
        "since these figures were made; beyond 2 the publisher hangs",
        lambda t: [((), (t.now_ns - t.body.t_emit_ns) / 1e9)],
    ),
    Family(
        "hearsee_mode",
        ("mode",),
        "1 for what is being read, else 0: `av`, `audio`, `video`, `none`",
        lambda t: [((mode,), mode == t.body.mode) for mode in MODES],
    ),
    Family(
        "hearsee_reliability_ratio",
        ("sense",),
        "how far `audio` and `video` can be relied on, 0 to 1",
        lambda t: [((sense,), value) for sense, value in t.body.modalities.items()],
    ),
    Family(
        "hearsee_sync_error_seconds",
        (),
        "how much later the picture is than the sound; absent while not known",
        lambda t: [((), None if t.body.sync_error_ms is None else t.body.sync_error_ms / 1e3)],
    ),
    Family(
        "hearsee_group_up",
        ("group",),
        "1 while the process runs, or has read its file to the end",
        lambda t: [((n,), g["state"] in ("running", "finished")) for n, g in t.body.groups.items()],
    ),
    Family("hearsee_group_restarts_total", ("group",), "times it was started again", _groups("restarts")),
    Family("hearsee_group_memory_bytes", ("group",), "memory the process holds", _groups("memory_bytes")),
    Family("hearsee_group_heard_seconds", ("group",), "since it was last heard of", _groups("heard_s")),
    Family(
        "hearsee_node_up",
        ("node",),
        "1 while it works, 0 while it failed and is tried again",
        lambda t: [((name,), node.get("state", "ok") == "ok") for name, node in t.body.nodes.items()],
    ),
    Family(
        "hearsee_node_gap",
        ("node", "port"),
        "1 as long as it has nothing to send there, such as a camera that is away; else absent",
        lambda t: [((n, port), 1) for n, node in t.body.nodes.items() for port in node.get("gaps", ())],
    ),
    Family(
        "hearsee_node_warnings",
        ("node",),
        "what is wrong with a device that works all the same; `status` says what",
        lambda t: [((name,), len(node.get("warnings", ()))) for name, node in t.body.nodes.items()],
    ),
    Family(
        "hearsee_node_messages_total",
        ("node",),
        "messages it gave since it was started",
        lambda t: [((name,), node.get("messages")) for name, node in t.body.nodes.items()],
    ),
    Family(
        "hearsee_node_step_seconds",
        ("node", "quantile"),
        "how long its steps take, of the last 256",
        lambda t: _quantiles(t.body.nodes, "step_"),
    ),
    Family(
        "hearsee_node_delay_seconds",
        ("node", "quantile"),
        "end of capture until it hands on what it made of it, of the last 256",
        lambda t: _quantiles(t.body.nodes, "delay_"),
    ),
    Family(
        "hearsee_engine_info",
        ("node", "model", "runs"),
        "1; `runs` is what computes the model and how",
        lambda t: [
            ((name, model, runs), 1)
            for name, node in t.body.nodes.items()
            for model, runs in node.get("engines", {}).items()
        ],
    ),
    Family(
        "hearsee_clock_rate_ratio",
        ("node",),
        "how much slower than the host's the device's clock runs; 0.00002 are 20 ppm",
        _clocks("rate_ppm", 1e-6),
    ),
    Family(
        "hearsee_clock_rate_uncertainty_ratio",
        ("node",),
        "how far that may be off",
        _clocks("rate_uncertainty_ppm", 1e-6),
    ),
    Family(
        "hearsee_clock_offset_seconds",
        ("node",),
        "the host's time less the device's",
        _clocks("offset_ms", 1e-3),
    ),
    Family(
        "hearsee_clock_uncertainty_seconds",
        ("node",),
        "how far the device's times may be off",
        _clocks("uncertainty_ms", 1e-3),
    ),
    Family(
        "hearsee_host_offset_seconds",
        ("host",),
        "to be added to the times of another host",
        _hosts("offset_ms", 1e-3),
    ),
    Family(
        "hearsee_host_uncertainty_seconds",
        ("host",),
        "how far that may be off",
        _hosts("uncertainty_ms", 1e-3),
    ),
    Family("hearsee_host_delay_seconds", ("host",), "to another host and back", _hosts("delay_ms", 1e-3)),
    Family("hearsee_host_heard_seconds", ("host",), "since its clock was last heard", _hosts("heard_s")),
    Family("hearsee_edge_queue_messages", ("edge",), "messages that wait on it", _edges("messages")),
    Family("hearsee_edge_queue_bytes", ("edge",), "bytes that wait on it", _edges("bytes")),
    Family(
        "hearsee_edge_dropped_total",
        ("edge",),
        "messages dropped since its group was started",
        lambda t: [((name,), dropped) for name, dropped in t.body.drops.items()],
    ),
    Family(
        "hearsee_topic_delay_seconds",
        ("topic", "quantile"),
        "end of capture (a picture: when it was taken) to publication, of the last 64",
        lambda t: _quantiles(t.body.delays, ""),
    ),
    Family(
        "hearsee_published_total",
        ("topic",),
        "messages published since the publisher started",
        lambda t: [((topic,), count) for topic, count in t.published.items()],
    ),
)


def metrics(told: Told) -> Iterator[Metric]:
    """As prometheus-client wants them."""
    for family in FAMILIES:
        kind = CounterMetricFamily if family.name.endswith("_total") else GaugeMetricFamily
        metric = kind(family.name, family.about, labels=family.labels)
        for labels, value in family.samples(told):
            if value is not None:
                metric.add_metric(labels, value)
        yield metric


def page() -> str:
    rows = ["| metric | labels | |", "|---|---|---|"]
    for family in FAMILIES:
        kind = "counter" if family.name.endswith("_total") else "gauge"
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.name}` | {labels} | {kind}: {family.about} |")
    return INTRODUCTION + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(page(), end="")
