"""Every error that bioclass raises on purpose.

* BioclassError
  * InputError            the user's input is wrong: exit status 2
    * RecipeError         a recipe that does not validate
    * StudyError          a study that does not validate
    * CardError           a dataset card that does not validate
    * DatasetError        data that is missing, unreadable or not what its card says
      * LeakError         a split with the same group or image on both sides
    * ImageError          one image file that cannot be used
    * RunError            a run folder that is foreign, damaged or does not fit the request
    * WeightsError        pretrained weights that are missing, damaged or of another network
    * DeviceError         a device that is not there or that MXNet cannot use
  * MissingDependency     a package or a system library is not installed: exit status 1
  * TrainingError         training cannot go on (for example a loss that is not finite): exit status 1
  * Stopped               the user or the system asked a running fit to stop: exit status 1

The message of each is one or a few plain sentences: the value, and the mend.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BioclassError(Exception):
    """Root of the tree; the command line prints it without a traceback."""

    exit_status = 1


class InputError(BioclassError):
    """The user's input is wrong."""

    exit_status = 2


class RecipeError(InputError):
    """A recipe does not validate; the message lists everything that is wrong with it."""


class StudyError(InputError):
    """A study does not validate; the message lists everything that is wrong with it."""


class CardError(InputError):
    """A dataset card does not validate; the message lists everything that is wrong with it."""


class DatasetError(InputError):
    """The data is missing, unreadable or not what its card says."""


class LeakError(DatasetError):
    """The same group or image stands in several parts of a split."""


class ImageError(InputError):
    """One image file cannot be used."""


class RunError(InputError):
    """A run folder is foreign, damaged or does not fit the request."""


class WeightsError(InputError):
    """Pretrained weights are missing, damaged or of another network."""


class DeviceError(InputError):
    """A device is not there, or this build of MXNet cannot use it."""


class MissingDependency(BioclassError):
    """A package or a system library is not installed."""


class TrainingError(BioclassError):
    """Training cannot go on."""


class Stopped(BioclassError):
    """A running fit was asked to stop."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
