"""An OpenTelemetry collector as small as a test needs: takes OTLP over HTTP, remembers names."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.versions import AIRFLOW

NEVER_MS = 600_000
"""Metrics come when a process ends and not before, so none that was counted may be forgotten meanwhile."""


@dataclass
class Collector:
    """What arrived.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        metrics: Names of all metrics.
        spans: Name -> ids of the traces in which such a span was.
        bodies: Everything, as it came.
    """

    port: int = 0
    metrics: set[str] = field(default_factory=set)
    spans: dict[str, set[bytes]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What OpenTelemetry's libraries read to send here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_METRIC_EXPORT_INTERVAL": f"{NEVER_MS}",
        }

    @property
    def settings(self) -> dict[str, str | int]:
        """What Airflow 3.1 reads instead, in its section ``metrics``; later releases call it deprecated."""
        if AIRFLOW > (3, 1):
            return {}
        return {"otel_host": "127.0.0.1", "otel_port": self.port, "otel_interval_milliseconds": NEVER_MS}

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics |= {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
        elif path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    self.spans.setdefault(span.name, set()).add(span.trace_id)


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            unpacked = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            collector.take(self.path, unpacked)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the library's interface
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.port = server.server_port
        Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()
