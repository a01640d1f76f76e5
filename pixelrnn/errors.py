"""The errors that users see. Each message names the key, value or file, and what to do.

A wrong argument of a Python call (shape, dtype, level) is a plain `ValueError`; the classes here
are for what stands outside the call: configuration, data on disc, stored runs.
"""


class PixelRNNError(Exception):
    """Base of all errors that the command line shows as one line.

    Attributes:
        exit_code: of the command; 2, as what was given is wrong, unless a subclass says otherwise.
    """

    exit_code = 2


class ConfigError(PixelRNNError):
    """A configuration key is unknown, or its value has a wrong type, range or partner."""


class DataError(PixelRNNError):
    """Data on disc are missing, damaged, or not what the data set should be."""


class RunError(PixelRNNError):
    """A run folder or checkpoint is missing, half written, damaged, or of another configuration."""


class TrainingError(PixelRNNError):
    """Training cannot go on: the loss or the weights are not finite."""


class ProcessLost(PixelRNNError):
    """One of several processes that train together was killed or failed.

    Args:
        message: which one, what became of it, and how the training goes on.
        told: whether this process is the one that tells the user.
    """

    exit_code = 1

    def __init__(self, message: str, told: bool = True) -> None:
        super().__init__(message)
        self.told = told


class KernelError(PixelRNNError, ValueError):
    """A kernel was asked for that there is not, or that cannot take the input."""


class CompressionError(PixelRNNError):
    """A compressed file is damaged, or cannot be decoded by this model or on this machine."""


class CompilerError(PixelRNNError):
    """A compiled kernel was asked for and cannot be built here."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended the work after what it had done was saved.

    Args:
        signal_number: what arrived, such as `signal.SIGTERM`.
        message: what was saved, and how it goes on.
    """

    def __init__(self, signal_number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.signal_number
