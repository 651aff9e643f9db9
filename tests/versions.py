"""Which Airflow the tests run on."""

from airflow import __version__

AIRFLOW = tuple(map(int, __version__.split(".")[:2]))
