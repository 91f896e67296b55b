"""Prometheus metrics: requests, latency, queue, batches, refusals, tokens, feedback."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY_S = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.3, 0.5, 1, 2, 5, 10)
_DOCUMENTS = (1, 2, 4, 8, 16, 32, 64, 128)


class ServiceMetrics:
    """The metrics of one service; labels never contain ids or text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name, registry = "cllm4rec", self.registry
        self.requests = Counter(
            "requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            namespace=name,
            registry=registry,
        )
        self.latency = Histogram(
            "request_seconds",
            "Time from the request's head to its answer.",
            ("route",),
            namespace=name,
            registry=registry,
            buckets=_LATENCY_S,
        )
        self.batch_documents = Histogram(
            "batch_documents",
            "Documents of a forward pass.",
            namespace=name,
            registry=registry,
            buckets=_DOCUMENTS,
        )
        self.batch_seconds = Histogram(
            "batch_seconds",
            "Duration of a forward pass, lists included.",
            namespace=name,
            registry=registry,
            buckets=_LATENCY_S,
        )
        self.tokens = Counter("tokens", "Tokens scored.", namespace=name, registry=registry)
        self.shed = Counter("shed", "Requests refused with 429.", namespace=name, registry=registry)
        self.given_up = Counter(
            "dropped",
            "Requests given up before they were scored.",
            ("reason",),
            namespace=name,
            registry=registry,
        )
        self.loads = Counter(
            "model_loads", "Models loaded.", ("outcome",), namespace=name, registry=registry
        )
        self.feedback = Counter(
            "feedback_interactions",
            "Interactions acknowledged.",
            namespace=name,
            registry=registry,
        )
        self.feedback_commits = Counter(
            "feedback_commits",
            "Times the feedback log was brought to the disk.",
            namespace=name,
            registry=registry,
        )

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A gauge evaluated at every scrape."""
        gauge = Gauge(name, meaning, namespace="cllm4rec", registry=self.registry)
        gauge.set_function(value)

    def batch(self, documents: int, tokens: int, seconds: float) -> None:
        """A forward pass was done."""
        self.batch_documents.observe(documents)
        self.batch_seconds.observe(seconds)
        self.tokens.inc(tokens)

    def dropped(self, reason: str) -> None:
        """A job was dropped before it was scored."""
        self.given_up.labels(reason).inc()

    def loaded(self, worked: bool) -> None:
        """A load of the model ended."""
        self.loads.labels("done" if worked else "failed").inc()

    def page(self) -> bytes:
        """All metrics in Prometheus's text format."""
        page: bytes = generate_latest(self.registry)
        return page
