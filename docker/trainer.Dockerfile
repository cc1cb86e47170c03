# The trainer: `docker build -f docker/trainer.Dockerfile -t c4build-trainer .`
# GPU (CUDA 12): add `--build-arg JAX="jax[cuda12]"` and run with `--gpus all`; TPU: `--build-arg JAX="jax[tpu]"`.
FROM python:3.12-slim

ARG JAX="jax"
WORKDIR /src
COPY pyproject.toml CMakeLists.txt README.md LICENSE ./
COPY core ./core
COPY badwords ./badwords
COPY c4build ./c4build
RUN pip install --no-cache-dir ".[train]" "${JAX}"

WORKDIR /data
ENTRYPOINT ["c4build"]
CMD ["t5", "--help"]
