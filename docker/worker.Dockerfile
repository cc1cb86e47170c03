# Beam's SDK image with c4build in it: every list and model it needs is part of the package or of its dependencies, so
# that a worker downloads nothing.
#
#   docker build -f docker/worker.Dockerfile -t REGISTRY/c4build-worker .
#
# The Beam version must be that of the machine that starts the job.
ARG BEAM_VERSION=2.77.0
ARG PYTHON_VERSION=3.11
FROM apache/beam_python${PYTHON_VERSION}_sdk:${BEAM_VERSION}
ARG BEAM_VERSION

COPY pyproject.toml hatch_build.py README.md LICENSE /src/
COPY c4build /src/c4build
COPY badwords /src/badwords
RUN pip install --no-cache-dir "/src[gcp,s3,array-record]" "apache-beam[gcp]==${BEAM_VERSION}" && rm -rf /src

# Fails here, not on a worker, where something is missing or wants the network.
RUN python -c "from c4build.rules.steps import Steps; from c4build.sample.resources import bad_words_file; \
from c4build.rules.compiled_language import load_library; assert load_library(), 'language.c was not compiled'; \
from c4build.rules.tables import RULE_SETS, VARIANTS; from c4build.rules.urls import news_test; \
news_test({'example.org': True})('example.org/a'); \
[Steps(rules, tuple(VARIANTS.values()), bad_words_file().read_text().splitlines()) for rules in RULE_SETS.values()]"

ENTRYPOINT ["/opt/apache/beam/boot"]
