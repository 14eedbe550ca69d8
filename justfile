# One entry for every check: each recipe is a check of .ci/run.

# All checks.
all:
    .ci/run

# One check: fmt, lint, deny, build or test.
check NAME:
    .ci/run {{NAME}}

# The side-by-side benchmark; see bench/README.md.
bench *ARGS:
    cargo build --release -p gost
    cargo run --release -p gost-bench -- {{ARGS}}
