"""metrics.csv: the curves of a run, kept over interruptions."""

import csv
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment

from pixelrnn import atomic
from pixelrnn.arguments import Positive, checked


class MetricsCSV(CSVLogger):
    """Lightning's CSV logger, which would delete the file of the run it continues.

    Args:
        save_dir: folder of metrics.csv.
        flush_logs_every_n_steps: how often rows are written.
    """

    @checked
    def __init__(self, save_dir: Path | str, flush_logs_every_n_steps: Positive = 100) -> None:
        super().__init__(
            save_dir, name="", version="", flush_logs_every_n_steps=flush_logs_every_n_steps
        )

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer, made on first use."""
        if self._experiment is None:
            self._experiment = _ContinuingWriter(self.log_dir)
        return self._experiment


class _ContinuingWriter(ExperimentWriter):
    """Keeps the rows before the step at which an interrupted run goes on."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self._goes_on = Path(self.metrics_file_path).is_file()

    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        """Record one row."""
        if self._goes_on:
            self._goes_on = False
            self._drop_from(step or 0)
        super().log_metrics(metrics_dict, step)

    def save(self) -> None:
        """Write the rows; no hparams.yaml, the run's config.yaml says it all."""
        super(ExperimentWriter, self).save()

    def _check_log_dir_exists(self) -> None:
        """Keep what is there."""

    def _drop_from(self, step: int) -> None:
        with open(self.metrics_file_path, newline="") as file:
            reader = csv.DictReader(file)
            self.metrics_keys = list(reader.fieldnames or [])
            rows: list[dict[str, Any]] = [row for row in reader if int(row["step"] or 0) < step]
        with atomic.replacing(Path(self.metrics_file_path)) as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
