"""The provider's own parts: settings, files, telemetry, the page, doctor."""
