"""Flows that go wrong in a worker, for `test_workers`: workers import them from here."""

import os
import sys
import time

import apache_beam as beam

from c4build.errors import DamageError


class OfTwoLines(DamageError):
    """An error of ours that is not among `c4build.errors`."""


def end(code):
    os._exit(code)


def stop_python(code):
    sys.exit(code)


def disk(path):
    raise OSError(28, "No space left on device", path)


def denied(path):
    raise PermissionError(13, "Permission denied", path)


def memory(_):
    raise MemoryError


def fault(text):
    raise KeyError(text)


def ours(text):
    raise DamageError(text)


def ours_while_another(text):
    try:
        raise OSError(28, "No space left on device", "/x")
    except OSError as error:
        raise OfTwoLines(text) from error


def unspeakable(_):
    class Unspeakable(Exception):
        def __str__(self):
            raise MemoryError

    raise Unspeakable


def sleep(seconds):
    time.sleep(seconds)


class Do(beam.DoFn):
    """Calls the function of this module that an element names."""

    def process(self, element):
        name, argument = element
        globals()[name](argument)
        yield 0, 0


def flow(*calls):
    """A flow that makes these calls, dealt out among the workers."""

    def add(root):
        keyed = root | beam.Create(list(enumerate(calls))) | "Deal out" >> beam.GroupByKey()
        return keyed | beam.FlatMap(lambda element: element[1]) | "Do" >> beam.ParDo(Do())

    return add
