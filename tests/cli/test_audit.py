"""The table of an audit: every number in its unit."""

import math

import numpy as np

from pixelrnn.cli import audit
from pixelrnn.compression.audit import Audit, Mean
from pixelrnn.compression.calibration import Calibration
from pixelrnn.compression.codec import Report
from pixelrnn.compression.codecs import Sizes

NONE = Calibration(*np.zeros((4, 1)))
REPORT = Report(images=10, streams=1, fixed=50, labels=5, payload=505)
FOUND = Audit(
    images=10,
    nll=Mean(400.0, 20.0),
    report=REPORT,
    samples=200,
    own_nll=Mean(410.0, 8.0),
    own_entropy=Mean(408.0, 4.0),
    own_difference=Mean(2.0, 0.8),
    calibration=NONE,
    codecs={"PNG": Sizes(files=20_000, bare=9000, picture=8000)},
)


def test_the_rows_of_an_audit():
    """100 sub-pixels of 17 levels; the truth is 390 bits."""
    rows = {row[0]: row[1:] for row in audit._rows(FOUND, 100, 17, 390 * math.log(2))}
    assert rows == {
        "NLL by log_prob": ["4.0000 ± 0.2000", "400.0", ""],
        "coded": ["4.0400", "404.0", "+1.000 %"],
        "labels": ["0.0400", "4.0", "5 bytes"],
        "headers of the file": ["0.4000", "40.0", "50 bytes"],
        "own samples: NLL": ["4.1000 ± 0.0800", "410.0", "200 samples"],
        "own samples: entropy": [
            "4.0800 ± 0.0400",
            "408.0",
            "2.5 standard errors of the difference",
        ],
        "entropy of the data": ["3.9000", "390.0", "gap +10.00 bits an image"],
        "raw pixels": ["5.0000", "500.0", ""],
        "PNG, a file an image": ["20.0000", "2,000.0", ""],
        "PNG, less a black image's file": ["9.0000", "900.0", ""],
        "PNG, all as one picture": ["8.0000", "800.0", ""],
    }
