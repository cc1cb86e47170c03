"""A crawl's job for Dataflow as docs/dataflow.md starts it, translated without a network; what its image installs."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from builds import VARIANTS
from command import Finished
from packaging.requirements import Requirement

from c4build.commands.commandline import BeamCommand
from c4build.commands.main import build
from c4build.corpora.c4 import Request, prepare
from c4build.flow.web import build_corpus
from c4build.read.stores import forget_stores

ROOT = Path(__file__).parent.parent
FILES = 64_000  # of a large crawl
DOCS = (ROOT / "docs/dataflow.md").read_text()
NAMES = {"PROJECT": "my-project", "REGION": "us-central1", "BUCKET": "gs://my-bucket", "IMAGE": "us-docker.pkg.dev/a/b"}


def given() -> tuple[Request, list[str]]:
    """What the docs' command for a crawl asks for, and the options that it hands to Beam."""
    (line,) = re.findall(r"^python -m pipelines\.c4 ((?:.*\\\n)+.*)$", DOCS, re.MULTILINE)
    words = shlex.split(re.sub(r"\$(\w+)", lambda name: NAMES[name[1]], line))
    app = typer.Typer()
    app.command(cls=BeamCommand, context_settings={"ignore_unknown_options": True})(build)
    context = typer.main.get_command(app).make_context("c4", words)
    return Request(**{name: context.params[name] for name in Request._fields}), context.args


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The job of 64,000 inputs as Beam would send it: (its JSON, its portable pipeline)."""
    pytest.importorskip("google.cloud.dataflow", reason="needs the extra gcp: Beam's client of Dataflow")
    pytest.importorskip("boto3", reason="needs the extra s3: inputs whose server is not asked about each of them")
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.dataflow.internal import apiclient

    folder = tmp_path_factory.mktemp("dataflow")
    segment = "crawl-data/CC-MAIN-2019-18/segments/1555578517558.8/wet/CC-MAIN-20190418101243-20190418123243"
    (folder / "wet.paths").write_text("".join(f"{segment}-{number:05d}.warc.wet.gz\n" for number in range(FILES)))
    (folder / "domains.json").write_text('{"example.com": true}')
    (folder / "urls.txt").write_text("http://example.com/\n")
    request, options = given()
    assert request.variants == [",".join(VARIANTS)]
    local = {"realnews_domains": str(folder / "domains.json"), "webtext_urls": [str(folder / "urls.txt")]}
    request = request._replace(inputs=[str(folder / "wet.paths")], out=str(folder), archive="s3", limit=None, **local)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nothing answers: the first input is looked at
        forget_stores()
        prepared = prepare(request)
    forget_stores()
    assert len(prepared.inputs) == FILES
    pipeline = beam.Pipeline("DataflowRunner", PipelineOptions([*options, "--dry_run", "True", "--no_auth"]))
    build_corpus(pipeline, prepared.plan)
    job = pipeline.run().job
    job.google_cloud_options.staging_location = str(folder)  # in place of the bucket
    apiclient.DataflowApplicationClient(job.options).create_job_description(job)
    return json.loads(job.json()), job.proto_pipeline


def test_the_job_of_a_crawl_is_far_below_dataflows_limit_whatever_its_inputs(job):
    described, pipeline = job
    size = len(json.dumps(described)) + pipeline.ByteSize()
    assert 10_000 < size < 1 << 20 and "takes less than\n1 MB, where Dataflow's limit is 10 MB" in DOCS
    steps = [one for one in pipeline.components.transforms.values() if not one.subtransforms]
    assert 20 < len(steps) < int(re.search(r"fewer than (\d+) steps", DOCS)[1])


def test_its_workers_are_those_that_the_docs_ask_for(job):
    environment = job[0]["environment"]
    (pool,) = environment["workerPools"]
    (image,) = pool["sdkHarnessContainerImages"]
    assert image["containerImage"] == pool["workerHarnessContainerImage"] == NAMES["IMAGE"]
    assert image["useSingleCorePerContainer"]  # a process for each core
    assert pool["machineType"] == "n2-standard-4"
    assert pool["autoscalingSettings"] == {"maxNumWorkers": 200}
    assert pool["numThreadsPerWorker"] == 1
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert environment["flexResourceSchedulingGoal"] == "FLEXRS_COST_OPTIMIZED"
    assert [package["name"] for package in pool["packages"]] in ([], ["pickled_main_session"])  # the image has all else
    options = environment["sdkPipelineOptions"]["options"]
    assert (options["project"], options["region"]) == (NAMES["PROJECT"], NAMES["REGION"])
    assert options["temp_location"].startswith(f"{NAMES['BUCKET']}/tmp/")


def test_runner_v2_is_taken_without_being_asked_for(job):
    assert "use_runner_v2" in job[0]["environment"]["experiments"]
    assert "use_runner_v2" not in " ".join(given()[1])


def test_the_image_installs_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in ("gcp", "s3", "array-record"):
        wanted += project["optional-dependencies"][extra]
    lines = (ROOT / "docker/requirements.txt").read_text().splitlines()
    locked = dict(line.split("==") for line in lines if re.fullmatch(r"[\w.-]+==[^; ]+", line))
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[requirement.name.lower()]), requirement
    (beam,) = re.findall(r"^ARG BEAM_VERSION=(.+)$", (ROOT / "docker/worker.Dockerfile").read_text(), re.MULTILINE)
    assert locked["apache-beam"] == beam


def test_a_template_asks_for_options_that_build_has():
    asked = json.loads((ROOT / "docker/flex-template.json").read_text())["parameters"]
    app = typer.Typer()
    app.command()(build)
    options = {name for option in typer.main.get_command(app).params for name in option.opts}
    assert {f"--{one['name']}" for one in asked} - {"--inputs"} <= options


def test_the_program_of_a_template_takes_inputs_as_an_option_and_hands_the_job_over(sources, tmp_path):
    given = [f"--inputs={','.join(sources.wet[:2])}", f"--out={tmp_path}", f"--badwords={sources.bad_words}"]
    words = [sys.executable, ROOT / "docker/flex.py", *given, "--template_location", tmp_path / "job"]
    done = subprocess.run(words, capture_output=True, text=True)
    said = Finished(done.returncode, done.stdout, done.stderr)
    assert (said.code, said.error_lines) == (0, []) and "the job was handed over" in said.out
    (made,) = tmp_path.glob("c4/*/*/c4build.json")  # by Beam's own runner, which makes no templates
    assert len(json.loads(made.read_text())["inputs"]) == 2
